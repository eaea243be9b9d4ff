"""The check of a whole file: its structure, every link of the chain, and the index of ids."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from dynmm.errors import TamperedArtefact
from dynmm.stream.canonical import id_of
from dynmm.stream.chain import EVENT, State, after
from dynmm.stream.sqlite_errors import named_sqlite_errors
from dynmm.stream.sqlite_rows import places_of_ids, plain_records

_AT_ONCE = 500


def check_structure(connection: sqlite3.Connection, path: Path) -> None:
    """Raises TamperedArtefact where pages do not fit together: a later write could fall on data."""
    with named_sqlite_errors(path):
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found not in (b"ok", "ok"):
        words = found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)
        raise TamperedArtefact(f"{path} is damaged: {words}; restore the log from a copy")


def check_all(connection: sqlite3.Connection, path: Path) -> State:
    """Where the log ends, after a check of all of it. Takes a few microseconds for each record.

    Raises TamperedArtefact, which names the first record or the part that is not what was written.
    """
    check_structure(connection, path)
    with named_sqlite_errors(path):
        connection.execute("BEGIN")
        try:
            return _check_records(connection, path)
        finally:
            connection.execute("ROLLBACK")


def _check_records(connection: sqlite3.Connection, path: Path) -> State:
    last = connection.execute("SELECT max(place) FROM records").fetchone()[0]
    state = State()
    for page in plain_records(connection, path, 0, 0 if last is None else last + 1):
        events = {id_of(record.body): record.place for record in page if record.what == EVENT}
        ids = list(events)
        for start in range(0, len(ids), _AT_ONCE):
            part = ids[start : start + _AT_ONCE]
            if places_of_ids(connection, path, part) != {one: events[one] for one in part}:
                raise _index_is_damaged(path)
        state = after(page[-1])
    (indexed,) = connection.execute("SELECT count(*) FROM ids").fetchone()
    if indexed != state.events:
        raise _index_is_damaged(path)
    return state


def _index_is_damaged(path: Path) -> TamperedArtefact:
    return TamperedArtefact(f"{path}: the index of ids does not fit the events; restore the log from a copy")
