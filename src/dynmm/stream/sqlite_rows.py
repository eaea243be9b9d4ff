"""Records as SQLite gives them back, each checked against the chain before anyone sees it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from dynmm.errors import StorageError, TamperedArtefact
from dynmm.stream.canonical import fingerprint
from dynmm.stream.chain import EVENT, GENESIS, Record, State, after, check
from dynmm.stream.sqlite_errors import named_sqlite_errors
from dynmm.stream.sqlite_schema import generation

_COLUMNS = "place, what, at, received, body, digest"
PAGE = 1000
#: SQLite takes at least 999 values in one statement.
_IDS_AT_ONCE = 500


def records(connection: sqlite3.Connection, path: Path, start: int, stop: int, written: int) -> Iterator[Record]:
    """Checked records at places from `start` up to, not including, `stop`.

    written: how often the log had been rewritten when these places were right. Each page is one short
    transaction, so that a slow reader holds nothing. Raises TamperedArtefact, and StorageError where the log
    was rewritten meanwhile.
    """
    state = state_before(connection, path, start)
    while start < stop:
        with named_sqlite_errors(path):
            connection.execute("BEGIN")
            try:
                now = generation(connection, path)
                rows = _page(connection, start, min(PAGE, stop - start))
            finally:
                connection.execute("ROLLBACK")
        if now != written:
            raise StorageError(f"{path}: a user's events were taken out while the log was read; read it again")
        if not rows:
            raise _gone(path, state)
        for row in rows:
            state = check(state, row, str(path))
            yield row
        start += len(rows)


def plain_records(connection: sqlite3.Connection, path: Path, start: int, stop: int) -> Iterator[list[Record]]:
    """Checked pages of records within the caller's own transaction, of any format."""
    state = state_before(connection, path, start)
    while start < stop:
        with named_sqlite_errors(path):
            rows = _page(connection, start, min(PAGE, stop - start))
        if not rows:
            raise _gone(path, state)
        for row in rows:
            state = check(state, row, str(path))
        yield rows
        start += len(rows)


def _page(connection: sqlite3.Connection, start: int, count: int) -> list[Record]:
    query = f"SELECT {_COLUMNS} FROM records WHERE place >= ? ORDER BY place LIMIT ?"
    return list(map(Record._make, connection.execute(query, (start, count))))


def _gone(path: Path, state: State) -> TamperedArtefact:
    return TamperedArtefact(
        f"{path}: the records from offset {state.events} on are gone; restore the log from a copy, "
        f"or read it up to there"
    )


def record_at(connection: sqlite3.Connection, path: Path, place: int) -> Record:
    """One record, unchecked. Raises TamperedArtefact where there is none."""
    with named_sqlite_errors(path):
        row = connection.execute(f"SELECT {_COLUMNS} FROM records WHERE place = ?", (place,)).fetchone()
    if row is None:
        raise TamperedArtefact(f"{path}: record {place} is gone; restore the log from a copy")
    return Record(*row)


def checked_at(connection: sqlite3.Connection, path: Path, place: int) -> Record:
    """One record that is the link of the chain behind the one before it. Raises TamperedArtefact."""
    record = record_at(connection, path, place)
    before = GENESIS if place == 0 else record_at(connection, path, place - 1).digest
    # The events before it are in the digest too, so they need no other witness.
    check(State(place, record.at, before if isinstance(before, bytes) else b""), record, str(path))
    return record


def state_before(connection: sqlite3.Connection, path: Path, place: int) -> State:
    """Where the log stood before a record. Raises TamperedArtefact."""
    return State() if place == 0 else after(checked_at(connection, path, place - 1))


def last_state(connection: sqlite3.Connection, path: Path) -> State:
    """Where the log ends, its last link checked. Raises TamperedArtefact."""
    with named_sqlite_errors(path):
        last = connection.execute("SELECT max(place) FROM records").fetchone()[0]
    return State() if last is None else state_before(connection, path, last + 1)


def place_of(connection: sqlite3.Connection, path: Path, offset: int, stop: int) -> int:
    """The first place, below `stop`, with at least `offset` events before it; `stop` where there is none.

    The number of events before a record never falls, so this is a search by halves. The record before the
    place found is checked, and that it has fewer events before it; the one found is checked when it is read.
    """
    low, high = 0, stop
    while low < high:
        middle = (low + high) // 2
        at = record_at(connection, path, middle).at
        if not isinstance(at, int):
            raise TamperedArtefact(f"{path}: record {middle} is damaged; restore the log from a copy")
        low, high = (middle + 1, high) if at < offset else (low, middle)
    wrong = low > 0 and checked_at(connection, path, low - 1).at >= offset
    if wrong or (low < stop and checked_at(connection, path, low).at < offset):
        raise TamperedArtefact(f"{path}: records near offset {offset} are damaged; restore the log from a copy")
    return low


def known_ids(connection: sqlite3.Connection, path: Path, ids: Sequence[str]) -> dict[str, bytes]:
    """Which of these ids the log holds, each with the fingerprint of its body. What is found is checked."""
    found: dict[str, bytes] = {}
    for start in range(0, len(ids), _IDS_AT_ONCE):
        for one, place in places_of_ids(connection, path, ids[start : start + _IDS_AT_ONCE]).items():
            record = checked_at(connection, path, place)
            if record.what != EVENT:
                raise TamperedArtefact(f"{path}: the index of ids is damaged; restore the log from a copy")
            found[one] = fingerprint(record.body)
    return found


def places_of_ids(connection: sqlite3.Connection, path: Path, ids: Sequence[str]) -> dict[str, int]:
    """Places of those ids that the index holds; at most 500 of them at once."""
    marks = ",".join("?" * len(ids))
    with named_sqlite_errors(path):
        rows = connection.execute(
            f"SELECT id, place FROM ids WHERE id IN ({marks})", [one.encode() for one in ids]
        ).fetchall()
        return {one.decode(): place for one, place in rows}
