"""`dynmm evaluate`: a run beside the comparison systems."""

from __future__ import annotations

from pathlib import Path

import click

from dynmm.cli.common import Once, command, device_option, json_option, print_json


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--protocol",
    type=click.Choice(["full", "sampled", "holdout", "cold"]),
    help="How candidates are chosen; by default that of the run's split.",
)
@click.option("--system", "systems", multiple=True, metavar="NAME", help="A comparison system; repeatable.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the JSON to this file.")
@device_option
@json_option
@command
def evaluate(
    run: Path, protocol: str | None, systems: tuple[str, ...], out: Path | None, device: str, as_json: bool
) -> None:
    """Measure RUN on its test part, beside the comparison systems, with 95 % intervals.

    Without --system every comparison that the data supports is fitted and measured.

    \b
    Example:
      dynmm evaluate runs/films --protocol full --out films.json
    """
    from dynmm.artefact import CANDIDATES
    from dynmm.evaluation.ladder import ladder
    from dynmm.measurement import evaluate as measure
    from dynmm.recommender import Recommender
    from dynmm.storage import write_json

    recommender = Recommender.from_pretrained(run, device=device)
    result = measure(recommender, protocol, systems, candidates=run / CANDIDATES, told=Once())
    if out is not None:
        write_json(out, result)
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
