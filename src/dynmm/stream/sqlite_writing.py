"""Records and the index of ids into the tables of the SQLite log."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from dynmm.stream.canonical import id_of
from dynmm.stream.chain import EVENT, Record


def write_records(connection: sqlite3.Connection, records: Sequence[Record], *, replace: bool = False) -> None:
    """Add records within the caller's transaction. replace: what stands in their places gives way."""
    connection.executemany(f"{_verb(replace)} INTO records VALUES (?, ?, ?, ?, ?, ?)", records)


def write_ids(connection: sqlite3.Connection, index: Sequence[tuple[str, int]], *, replace: bool = False) -> None:
    """Add ids and the places of their events within the caller's transaction."""
    # In the order of the index, so that neighbours meet the same page.
    rows = sorted((one.encode(), place) for one, place in index)
    connection.executemany(f"{_verb(replace)} INTO ids VALUES (?, ?)", rows)


def _verb(replace: bool) -> str:
    return "INSERT OR REPLACE" if replace else "INSERT"


def index_of(records: Sequence[Record]) -> list[tuple[str, int]]:
    """The ids and places of those records that are events."""
    return [(id_of(record.body), record.place) for record in records if record.what == EVENT]
