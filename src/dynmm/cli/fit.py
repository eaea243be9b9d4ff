"""`dynmm fit`: from a data set folder to a saved run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from dynmm.cli.common import command, device_option, json_option, note, print_json
from dynmm.cli.progress import EpochBar

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
    from dynmm.fusion.diagnostics import as_lines

    config = read_config(file, assignments)
    check_target(run)
    try:
        with EpochBar() as bar:
            fitted = fit_run(
                data,
                config,
                split=split,
                seed=seed,
                options=FitOptions(device, None, bar.epoch, bar.progress, bar.stage),
            )
    except KeyboardInterrupt:
        note("interrupted; give the same command again to go on from the last finished epoch")
        sys.exit(130)
    save(fitted.recommender, run)
    facts = fitted.recommender.facts
    if as_json:
        print_json({"run": str(run), **facts})
        return
    click.echo(f"{facts['data']['name']}: {facts['split']['description']}")
    for reason, rows in facts["left_out"].items():
        click.echo(f"left out: {rows:,} rows, {reason}")
    for text in facts["notes"]:
        click.echo(f"note: {text}")
    for line in _modalities(facts):
        click.echo(line)
    for stage, curve in fitted.curves.items():
        refit = fitted.refits.get(stage, ())
        spent = sum(one.seconds for one in (*curve, *refit))
        again = ", then refitted on all events" if refit else ""
        click.echo(f"{stage}: best epoch {curve[-1].best_epoch} of {len(curve)}{again}, {spent:.0f} s")
    if facts["joint"] is not None:
        for line in as_lines(facts["joint"]):
            click.echo(f"joint: {line}")
    for name in ("hit@10", "ndcg@10"):
        if name in facts["validation"]:
            cell = facts["validation"][name]
            click.echo(f"validation {name}: {cell['mean']:.4f}  [{cell['ci95'][0]:.4f}, {cell['ci95'][1]:.4f}]")
    click.echo(f"saved {run} ({MODEL}/ to publish, {STATE}/ private)")


def _modalities(facts: Mapping[str, Any]) -> Iterator[str]:
    """What was read, looked at and listened to, and the first few items that stay without."""
    for one in facts["modalities"]:
        yield f"{one['modality']}: {one['items']:,} items by {one['encoder']}"
        for line in one["left_out"][:_LINES]:
            yield f"{one['modality']}: {line['item']} is left out: {line['reason']}"
        if one["left_out_count"] > _LINES:
            yield f"{one['modality']}: and {one['left_out_count'] - _LINES:,} more, named in model/manifest.json"
