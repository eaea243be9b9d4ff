"""`dynmm learn`: events into the log of a run, durable first and counted then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from dynmm.cli.common import command, device_option, json_option, note, print_json


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("events", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--skip-bad", is_flag=True, help="Leave bad rows out and count them, where one would refuse all.")
@device_option
@json_option
@command
def learn(run: Path, events: Path, skip_bad: bool, device: str, as_json: bool) -> None:
    """Let RUN learn from EVENTS, a .parquet, .csv or .jsonl file with user_id, item_id and, where the data has time,
    timestamp.

    With a column event_id, an event that is told twice counts once, so that a broken-off call can be made again.

    \b
    Example:
      dynmm learn runs/films today.csv
    """
    from dynmm.assembly import learn_events, live_of, takes_items
    from dynmm.recommender import Recommender

    with Recommender.from_pretrained(run, device=device) as recommender:
        before, live = recommender.offset, live_of(recommender)
        clocks, passed, gone = live.late_clocks, live.passed_over, live.let_go
        told = learn_events(recommender, _read(events), skip_bad=skip_bad)
        result: dict[str, Any] = {
            "as_of_offset": recommender.offset,
            "counted": recommender.offset - before,
            "accepted": told.accepted,
            "duplicates": told.duplicates,
            "held": recommender.held,
            "let_go": live.let_go - gone,
            "left_out": dict(told.left_out),
            "late_clocks": live.late_clocks - clocks,
            "passed_over": live.passed_over - passed,
            "users": len(recommender.users),
        }
        # Before the run is closed: they are in the log, whatever fails then.
        _print(result, as_json, may_come=takes_items(recommender))


def _print(result: Mapping[str, Any], as_json: bool, *, may_come: bool) -> None:
    """may_come: whether the run can be told of new items."""
    if as_json:
        print_json(result)
        return
    click.echo(
        f"{result['accepted']:,} events are new in the log, {result['counted']:,} count; it is at offset "
        f"{result['as_of_offset']:,}"
    )
    if result["duplicates"]:
        note(f"{result['duplicates']:,} were there already and count once")
    for reason, count in result["left_out"].items():
        note(f"{count:,} rows are left out: {reason}")
    if result["late_clocks"]:
        note(f"{result['late_clocks']:,} events came from clocks that run ahead; they count as of when they came in")
    if result["passed_over"]:
        note(
            f"{result['passed_over']:,} are in the log and do not count: data.min_rating or data.kinds leaves them out"
        )
    if result["held"]:
        mend = "Recommender.add_items adds them"
        if not may_come:
            mend = "it knows items by interactions alone and takes in none; fit again on data that has these"
        note(f"{result['held']:,} events wait for items that the run does not know; {mend}")
    if result["let_go"]:
        note(f"{result['let_go']:,} more than stream.most_held waited: the oldest will not count; the log keeps them")


def _read(path: Path) -> Any:
    import polars as pl
    from polars.exceptions import PolarsError

    from dynmm.errors import DataError

    readers: dict[str, Callable[[Path], Any]] = {
        ".parquet": pl.read_parquet,
        ".csv": _read_csv,
        ".jsonl": pl.read_ndjson,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: events are read from {', '.join(readers)}, not from {path.suffix or 'this'}")
    try:
        return reader(path)
    except (PolarsError, OSError, ValueError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path} cannot be read as {path.suffix[1:]} ({why}); write it again as a table") from None


def _read_csv(path: Path) -> Any:
    """A table of CSV whose ids are text: `00001` is not `1`, and some are letters only far below. Empty lines at its
    end are none of its rows."""
    import polars as pl

    from dynmm.interactions.fields import EVENT, ITEM, KIND, USER

    there = pl.read_csv(path, n_rows=0).columns
    rows = pl.read_csv(path, schema_overrides={name: pl.String for name in (EVENT, ITEM, KIND, USER) if name in there})
    told = rows.select(pl.any_horizontal(pl.all().is_not_null())).to_series().arg_true()
    return rows.head(told[-1] + 1 if len(told) else 0)
