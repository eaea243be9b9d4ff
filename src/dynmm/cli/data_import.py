"""`dynmm data import`: from a source's own format to a data set folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from dynmm.cli.common import command, json_option, note, print_json
from dynmm.interactions.importers import IMPORTERS, ImportReport
from dynmm.interactions.importers.times import TIME_UNITS

_PATH = click.Path(path_type=Path)


@click.command("import")
@click.argument("kind", type=click.Choice(list(IMPORTERS)))
@click.argument("source", type=_PATH)
@click.argument("dest", type=_PATH)
@click.option("--skip-bad", is_flag=True, help="Leave malformed rows out and count them, instead of stopping.")
@click.option("--overwrite", is_flag=True, help="Replace the data set folder DEST where it exists.")
@click.option("--name", help="Name of the data set.")
@click.option("--noun", help='What an item is called, e.g. "song".')
@click.option("--verb", help='What people did with it, e.g. "played".')
@click.option("--user", help="csv: column of user ids.")
@click.option("--item", help="csv: column of item ids.")
@click.option("--time", help="csv: column of times.")
@click.option("--rating", help="csv: column of ratings.")
@click.option("--event-kind", help="csv: column that says what happened (click, purchase, ...).")
@click.option("--weight", help="csv: column of weights, which are kept and read by nothing yet.")
@click.option("--time-unit", type=click.Choice(TIME_UNITS), help="csv: unit of the times; guessed if not given.")
@click.option("--separator", help='csv: one character, or "tab"; guessed from the header if not given.')
@click.option("--items", type=_PATH, help="csv: a table with one item per row.")
@click.option("--in-order", is_flag=True, help="csv, recbole: rows stand in the order in which they happened.")
@click.option("--metadata", type=_PATH, help="amazon: the metadata file, where it is not beside the reviews.")
@click.option("--all-items", is_flag=True, help="amazon: keep products that nobody reviewed.")
@click.option("--matrix", type=click.Choice(["big", "small"]), help="kuairec: which matrix; big if not given.")
@click.option("--drop-undated", is_flag=True, help="kuairec: leave out rows without a timestamp.")
@json_option
@command
def import_data(
    kind: str, source: Path, dest: Path, skip_bad: bool, overwrite: bool, as_json: bool, **options: Any
) -> None:
    """Read SOURCE, a file or folder of the given KIND, and write it as the data set folder DEST.

    \b
    Examples:
      dynmm data import movielens ml-1m data/ml-1m
      dynmm data import csv log.csv data/songs --time ts --time-unit s --noun song --verb played
    """
    from dynmm.interactions.importers import import_folder

    given = {name: value for name, value in options.items() if value not in (None, False)}
    if given.get("separator") == "tab":
        given["separator"] = "\t"
    report = import_folder(kind, source, dest, skip_bad=skip_bad, overwrite=overwrite, progress=note, **given)
    if as_json:
        print_json({**asdict(report), "folder": str(report.folder)})
        return
    for line in _summary(report):
        click.echo(line)


def _summary(report: ImportReport) -> list[str]:
    lines = [
        f"{report.folder}: {report.users:,} users, {report.items:,} items, {report.interactions:,} interactions, "
        f"time resolution {report.info.time_resolution}"
    ]
    lines += [f"left out {count:,}: {reason}" for reason, count in report.left_out.items()]
    return lines
