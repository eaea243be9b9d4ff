"""`dynmm fit`: from a data set folder to a saved run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dynmm.cli.common import command, device_option, json_option, note, print_json
from dynmm.cli.progress import INTERRUPTED, EpochBar

if TYPE_CHECKING:
    from dynmm.assembly import Fitted

#: Of what was left out for each modality, so many lines are printed.
_LINES = 5


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", "run", required=True, type=click.Path(path_type=Path), help="Folder of the run.")
@click.option(
    "--split",
    type=click.Choice(["none", "full", "holdout", "cold", "stream"]),
    help="What to hold out. By default split.name of the configuration: none, which uses all events.",
)
@click.option("--config", "file", type=click.Path(path_type=Path), help="JSON file of overrides.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="One override; repeatable.")
@click.option(
    "--overwrite", is_flag=True, help="Replace the run even where it has learned events, which are gone then."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@device_option
@json_option
@command
def fit(
    data: Path,
    run: Path,
    split: str | None,
    file: Path | None,
    assignments: tuple[str, ...],
    overwrite: bool,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Fit a recommender to the data set folder DATA and save it as a run.

    A fit that was interrupted goes on where it stopped when the same command is given again.

    \b
    Example:
      dynmm fit examples/movielens --out runs/films --split full
    """
    from dynmm.artefact import MODEL, STATE
    from dynmm.assembly import FitOptions, check_target, save
    from dynmm.assembly import fit as fit_run
    from dynmm.config import read_config

    config = read_config(file, assignments)
    check_target(run, overwrite=overwrite)
    try:
        with EpochBar() as bar:
            fitted = fit_run(
                data,
                config,
                split=split,
                seed=seed,
                options=FitOptions(device, None, bar.epoch, bar.progress, bar.stage, bar.encoding),
            )
    except KeyboardInterrupt:
        note(INTERRUPTED)
        sys.exit(130)
    save(fitted.recommender, run, overwrite=overwrite)
    if as_json:
        print_json({"run": str(run), **fitted.recommender.facts})
        return
    for line in _lines(fitted):
        click.echo(line)
    click.echo(f"saved {run} ({MODEL}/ to publish, {STATE}/ private)")


def _lines(fitted: Fitted) -> Iterator[str]:
    """What was fitted, stage by stage, and what it reached on validation."""
    from dynmm.catalogue.report import lines_of
    from dynmm.fusion.diagnostics import as_lines

    facts = fitted.recommender.facts
    yield f"{facts['data']['name']}: {facts['split']['description']}"
    for reason, rows in facts["left_out"].items():
        yield f"left out: {rows:,} rows, {reason}"
    for text in facts["notes"]:
        yield f"note: {text}"
    yield from lines_of(facts["content"], _LINES)
    for stage, curve in fitted.curves.items():
        refit = fitted.refits.get(stage, ())
        spent = sum(one.seconds for one in (*curve, *refit))
        again = ", then refitted on all events" if refit else ""
        yield f"{stage}: best epoch {curve[-1].best_epoch} of {len(curve)}{again}, {spent:.0f} s"
    if facts["joint"] is not None:
        for line in as_lines(facts["joint"]):
            yield f"joint: {line}"
    yield from _evidence(facts)
    yield _reranking(facts["rerank"])
    for name in ("hit@10", "ndcg@10"):
        if name in facts["validation"]:
            cell = facts["validation"][name]
            yield f"validation {name}: {cell['mean']:.4f}  [{cell['ci95'][0]:.4f}, {cell['ci95'][1]:.4f}]"


def _evidence(facts: Mapping[str, Any]) -> Iterator[str]:
    """From how many users it was learned what facts are worth, and the strength that validation chose."""
    told, settings = facts["evidence"], facts["config"]["evidence"]
    if told is not None:
        yield f"evidence: worth of facts learned from {told['learned_from']:,} users, strength {told['strength']}"
    elif settings["variant"] != "off":
        yield f"evidence: none; fewer than {settings['least_users']:,} users have events to learn its worth from"


def _reranking(told: Mapping[str, Any]) -> str:
    """What ranks the best candidates, or why nothing does, and what was trained to. told: of the manifest."""
    what = f"none; {told['why']}" if told["why"] else f"{told['chosen']} ranks, gamma {told['gamma']:g}"
    trained = [kind for kind in told["kinds"] if kind != "none"]
    if not trained:
        return f"re-ranking: {what}"
    # Runs of an earlier version know no numbers by kind.
    counts = [told["kinds"][kind].get("learned_from", told["learned_from"]) for kind in trained]
    each = (f"{kind} on {count:,} questions" for kind, count in zip(trained, counts, strict=True))
    return f"re-ranking: {what}; trained: {', '.join(each)}"
