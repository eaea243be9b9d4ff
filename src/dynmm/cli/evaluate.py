"""`dynmm evaluate`: a run beside the comparison systems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dynmm.cli.common import Once, command, device_option, json_option, print_json
from dynmm.cli.outputs import FIGURE, check_outputs

if TYPE_CHECKING:
    from dynmm.recommender import Recommender


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--protocol",
    type=click.Choice(["full", "sampled", "holdout", "cold"]),
    help="How candidates are chosen; by default that of the run's split.",
)
@click.option("--system", "systems", multiple=True, metavar="NAME", help="A comparison system; repeatable.")
@click.option(
    "--drop",
    "dropped",
    multiple=True,
    metavar="MODALITY[=RATE]",
    help="What is lost without text, image or audio, for a share of the items or a curve over shares; repeatable.",
)
@click.option(
    "--corrupt",
    "corrupted",
    multiple=True,
    metavar="MODALITY[=RATE]",
    help="What is lost where it is noise, or another item's; repeatable.",
)
@click.option(
    "--as-of",
    "as_of",
    type=int,
    metavar="OFFSET",
    help="Measure the run with what it had learned by this offset of its log, too.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Also write the JSON to this file, and beside it the figure of what is lost.",
)
@device_option
@json_option
@command
def evaluate(
    run: Path,
    protocol: str | None,
    systems: tuple[str, ...],
    dropped: tuple[str, ...],
    corrupted: tuple[str, ...],
    as_of: int | None,
    out: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Measure RUN on its test part, beside the comparison systems, with 95 % intervals.

    Without --system every comparison that the data supports is fitted and measured.

    \b
    Example:
      dynmm evaluate runs/films --protocol full --out films.json
      dynmm evaluate runs/films --as-of 100250 --system popularity
      dynmm evaluate runs/films --drop text --corrupt image=0.5 --out losses.json
    """
    from dynmm.artefact import CANDIDATES
    from dynmm.measurement import evaluate as measure
    from dynmm.recommender import Recommender
    from dynmm.storage import write_json

    if dropped or corrupted:
        if as_of is not None:
            raise click.UsageError(
                "--as-of measures what was learned, --drop and --corrupt the run as fitted; ask for one"
            )
        _check_losses(systems)
    check_outputs(out, figure=bool(dropped or corrupted))
    recommender = Recommender.from_pretrained(run, device=device, as_of=as_of)
    if dropped or corrupted:
        _robustness(recommender, protocol, (dropped, corrupted), run / CANDIDATES, out, as_json)
        return
    known = as_of is not None
    result = measure(recommender, protocol, systems, candidates=run / CANDIDATES, learned=known, told=Once())
    _print(result, as_json)
    if out is not None:
        write_json(out, result)


def _print(result: Mapping[str, Any], as_json: bool) -> None:
    from dynmm.evaluation.ladder import ladder

    if as_json:
        print_json(result)
        return
    for part in (result, *result.get("beside", ())):
        metrics = ("hit@1", "hit@10", "ndcg@10") if part["protocol"].startswith("sampled") else ("hit@10", "ndcg@10")
        click.echo(f"{part['protocol']}: {part['users']:,} users, {part['cases']:,} cases")
        click.echo(ladder(part, metrics).to_text())
        for text in part["notes"]:
            click.echo(f"- {text}")
        click.echo()


def _check_losses(systems: tuple[str, ...]) -> None:
    """What is asked beside --drop and --corrupt must be something that they can give. Raises ConfigError."""
    from dynmm.errors import ConfigError

    if systems:
        raise ConfigError(
            f"--system {systems[0]}: --drop and --corrupt measure the run alone, under each condition; "
            "leave --system out, or measure comparison systems by an evaluation of their own"
        )


def _robustness(
    recommender: Recommender,
    protocol: str | None,
    changes: tuple[tuple[str, ...], tuple[str, ...]],
    candidates: Path,
    out: Path | None,
    as_json: bool,
) -> None:
    from dynmm.evaluation.figures import robustness as figure
    from dynmm.evaluation.robustness import asked_conditions
    from dynmm.measurement import robustness
    from dynmm.storage import write_bytes, write_json

    result = robustness(recommender, asked_conditions(*changes), protocol, candidates=candidates, told=Once())
    _print_losses(result, as_json)
    if out is not None:
        write_json(out, result)
        write_bytes(out.with_suffix(FIGURE), figure(result))


def _print_losses(result: Mapping[str, Any], as_json: bool) -> None:
    from dynmm.evaluation.robustness import missing_table, robustness_table

    if as_json:
        print_json(result)
        return
    for part in (result, *result.get("beside", ())):
        click.echo(f"{part['protocol']}: {part['users']:,} users, {part['cases']:,} cases")
        click.echo(robustness_table(part).to_text())
        if part["against_missing"]:
            click.echo(missing_table(part).to_text())
        for text in part["notes"]:
            click.echo(f"- {text}")
