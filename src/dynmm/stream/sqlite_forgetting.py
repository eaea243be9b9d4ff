"""A user's events out of the file: the chain is written anew over what stays, in one transaction."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from dynmm.stream.canonical import event_of
from dynmm.stream.chain import EVENT, Record, State, chained
from dynmm.stream.sqlite_errors import named_sqlite_errors
from dynmm.stream.sqlite_rows import plain_records
from dynmm.stream.sqlite_writing import index_of, write_ids, write_records


def rewrite_without(connection: sqlite3.Connection, path: Path, user: str, state: State) -> State:
    """The state of the log without the user's events. The caller holds the transaction.

    Records move towards the start alone, so each page is read before anything is written over it. Those
    before the user's first stay as they are.
    """
    new, moving = State(), False
    for page in plain_records(connection, path, 0, state.records):
        kept: list[Record] = []
        gone: list[bytes] = []
        for record in page:
            event = event_of(record.body) if record.what == EVENT else None
            if event is not None and event.user == user:
                gone.append(event.id.encode())
                moving = True
                continue
            moved, new = chained(new, record.what, record.received, record.body)
            if moving:
                kept.append(moved)
        with named_sqlite_errors(path):
            connection.executemany("DELETE FROM ids WHERE id = ?", [(one,) for one in gone])
            write_records(connection, kept, replace=True)
            write_ids(connection, index_of(kept), replace=True)
    with named_sqlite_errors(path):
        connection.execute("DELETE FROM records WHERE place >= ?", (new.records,))
        if new != state:
            connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
    return new
