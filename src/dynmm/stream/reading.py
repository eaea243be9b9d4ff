"""Records out of the file of a log, each proved as it comes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from dynmm.stream.chain import EVENT, START
from dynmm.stream.events import Entry, Mark, event_from
from dynmm.stream.sqlite_file import Connection, named_errors, proved, tampered

#: Records that are fetched at a time; between two fetches nobody is kept from writing.
_FETCHED = 8_192

_SELECT = (
    "SELECT position, kind, coalesce(id, ''), received, body, hash FROM records WHERE position >= ? "
    "ORDER BY position LIMIT ?"
)


def read_records(path: Path, start: int, stop: int | None, marks_from: int) -> Iterator[Entry | Mark]:
    """See `EventLog.read`."""
    with named_errors(path, "read"):
        connection = Connection(path, read_only=True)
        try:
            yield from _records(connection, path, start, stop, marks_from)
        finally:
            connection.close()


def _records(
    connection: Connection, path: Path, start: int, stop: int | None, marks_from: int
) -> Iterator[Entry | Mark]:
    marks = [
        row[0] for row in connection.plain.execute("SELECT position FROM records WHERE kind = 1 ORDER BY position")
    ]
    position = _first(marks, start, marks_from)
    head = connection.head_at(position)
    before = START if head is None else bytes.fromhex(head)
    passed = sum(1 for one in marks if one < position)
    while True:
        rows = connection.plain.execute(_SELECT, (position, _FETCHED)).fetchall()
        for row in rows:
            before = proved(path, before, position, row)
            offset = position - passed
            if stop is not None and offset > stop:
                return
            try:
                if row[1] == EVENT:
                    if offset >= start and (stop is None or offset < stop):
                        yield Entry(offset, event_from(row[2], row[4]), row[3])
                else:
                    if passed >= marks_from:
                        told = json.loads(row[4])
                        yield Mark(offset, passed, told["kind"], told["payload"])
                    passed += 1
            except (ValueError, KeyError, TypeError) as error:
                raise tampered(path, str(error), position) from error
            position += 1
        if len(rows) < _FETCHED:
            return


def _first(marks: list[int], start: int, marks_from: int) -> int:
    """The position of the first record that is asked for. marks: positions of all marks, ascending."""
    # Event `start` stands behind itself as many places as there are marks before it.
    position = start
    for mark in marks:
        if mark > position:
            break
        position += 1
    if marks_from < len(marks):
        position = min(position, marks[marks_from])
    return position
