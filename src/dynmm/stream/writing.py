"""Records on their way into the file of a log, each with its hash."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from dynmm.stream.chain import EVENT, MARK, chained
from dynmm.stream.events import Event, Receipt, event_from
from dynmm.stream.sqlite_file import Tail

_INSERT = "INSERT INTO records (position, kind, id, received, body, hash) VALUES (?, ?, ?, ?, ?, ?)"

#: Ids that are looked up at a time: below the most variables of a statement in any SQLite.
_LOOKED_UP = 900

_Row = tuple[int, int, str | None, int, str, bytes]


class Batch:
    """Records behind a tail that are written in one transaction."""

    def __init__(self, tail: Tail) -> None:
        self.tail = tail
        self._rows: list[_Row] = []

    def add(self, kind: int, identity: str | None, received: int, body: str) -> None:
        """One record more."""
        tail = self.tail
        head = chained(tail.head, kind, identity or "", received, body)
        self._rows.append((tail.length, kind, identity, received, body, head))
        self.tail = replace(tail, length=tail.length + 1, marks=tail.marks + (kind == MARK), head=head)

    def flush(self, cursor: sqlite3.Cursor) -> None:
        """Hand them to the transaction."""
        cursor.executemany(_INSERT, self._rows)
        self._rows = []


def write_batch(cursor: sqlite3.Cursor, batch: Batch, events: Sequence[tuple[Event, str]], received: int) -> Receipt:
    """Write those of the events that are new. events: with their canonical texts."""
    known = _known(cursor, [event.id for event, _ in events])
    accepted: list[int] = []
    duplicates: list[str] = []
    conflicts: list[str] = []
    for event, body in events:
        there = known.get(event.id)
        if there is not None:
            (duplicates if _same(event, body, there) else conflicts).append(event.id)
            continue
        known[event.id] = body
        accepted.append(batch.tail.offset)
        batch.add(EVENT, event.id, received, body)
    batch.flush(cursor)
    return Receipt(tuple(accepted), tuple(duplicates), tuple(conflicts), batch.tail.offset)


def _known(cursor: sqlite3.Cursor, ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(ids), _LOOKED_UP):
        some = ids[start : start + _LOOKED_UP]
        places = ",".join("?" * len(some))
        found.update(cursor.execute(f"SELECT id, body FROM records WHERE id IN ({places})", some))
    return found


def _same(event: Event, body: str, there: str) -> bool:
    return body == there or event_from(event.id, there) == event
