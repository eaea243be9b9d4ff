"""`dynmm learn`: events into the log of a run, durable first and counted then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dynmm.cli.common import command, device_option, json_option, note, print_json


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("events", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@device_option
@json_option
@command
def learn(run: Path, events: Path, device: str, as_json: bool) -> None:
    """Let RUN learn from EVENTS, a .parquet, .csv or .jsonl file with user_id, item_id and, where the data has time,
    timestamp.

    With a column event_id, an event that is told twice counts once, so that a broken-off call can be made again.

    \b
    Example:
      dynmm learn runs/films today.csv
    """
    from dynmm.assembly import learn_events
    from dynmm.recommender import Recommender

    with Recommender.from_pretrained(run, device=device) as recommender:
        before = recommender.offset
        told = learn_events(recommender, _read(events))
        result: dict[str, Any] = {
            "as_of_offset": recommender.offset,
            "counted": recommender.offset - before,
            "accepted": told.accepted,
            "duplicates": told.duplicates,
            "held": recommender.held,
            "users": len(recommender.users),
        }
    if as_json:
        print_json(result)
        return
    click.echo(
        f"{result['accepted']:,} events are in the log, {result['counted']:,} count; it is at offset "
        f"{result['as_of_offset']:,}"
    )
    if result["duplicates"]:
        note(f"{result['duplicates']:,} were there already and count once")
    if result["held"]:
        note(f"{result['held']:,} events wait for items that the run does not know; Recommender.add_items adds them")


def _read(path: Path) -> Any:
    import polars as pl
    from polars.exceptions import PolarsError

    from dynmm.errors import DataError

    readers: dict[str, Callable[[Path], Any]] = {
        ".parquet": pl.read_parquet,
        ".csv": pl.read_csv,
        ".jsonl": pl.read_ndjson,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: events are read from {', '.join(readers)}, not from {path.suffix or 'this'}")
    try:
        return reader(path)
    except (PolarsError, OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as {path.suffix[1:]}: {error}") from None
