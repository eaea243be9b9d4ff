"""Records into the tables of the SQLite log."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from dynmm.stream.canonical import event_of
from dynmm.stream.chain import EVENT, Record


def write_records(connection: sqlite3.Connection, records: Sequence[Record], *, replace: bool = False) -> None:
    """Add records and their ids within the caller's transaction. replace: what stands in their places gives way."""
    verb = "INSERT OR REPLACE" if replace else "INSERT"
    connection.executemany(f"{verb} INTO records VALUES (?, ?, ?, ?, ?, ?)", records)
    write_ids(connection, records, replace=replace)


def write_ids(connection: sqlite3.Connection, records: Sequence[Record], *, replace: bool = False) -> None:
    """The index entries of those records that are events."""
    verb = "INSERT OR REPLACE" if replace else "INSERT"
    rows = [(event_of(record.body).id.encode(), record.place) for record in records if record.what == EVENT]
    connection.executemany(f"{verb} INTO ids VALUES (?, ?)", rows)
