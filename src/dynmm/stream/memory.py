"""A log in memory: for a recommender that was not saved yet. What it holds ends with the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from dynmm.errors import StorageError
from dynmm.stream import planning
from dynmm.stream.canonical import fingerprint
from dynmm.stream.chain import Record, State, after, opened
from dynmm.stream.events import Entry, Event, Mark, Receipt


class MemoryLog:
    """See `EventLog`. Acknowledged means kept in memory."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._state = State()
        self._known: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._closed = False

    @property
    def offset(self) -> int:
        """See `EventLog`."""
        return self._state.events

    @property
    def marks(self) -> int:
        """See `EventLog`."""
        return self._state.marks

    @property
    def head(self) -> str:
        """See `EventLog`."""
        return self._state.head

    def append(self, events: Sequence[Event], *, received: int | None = None) -> Receipt:
        """See `EventLog`."""
        return cast(Receipt, self._add(planning.of_events(events, received)))

    def mark(self, kind: str, payload: Mapping[str, Any]) -> Mark:
        """See `EventLog`."""
        return cast(Mark, self._add(planning.of_mark(kind, payload)))

    def read(self, start: int = 0, stop: int | None = None, *, marks_from: int = 0) -> Iterator[Entry | Mark]:
        """See `EventLog`."""
        there = [one for one in self._records if start <= one.at and (stop is None or one.at < stop)]
        found = (opened(record) for record in there)
        return (one for one in found if isinstance(one, Entry) or one.number >= marks_from)

    def holds(self, offset: int, head: str) -> bool:
        """See `EventLog`."""
        states = [State(), *(after(record) for record in self._records)]
        return any((state.events, state.head) == (offset, head) for state in states)

    def close(self) -> None:
        """Take nothing in any more."""
        self._closed = True

    def _add(self, request: planning.Request) -> Receipt | Mark:
        with self._lock:
            if self._closed:
                raise StorageError("this log in memory was closed; what comes now belongs to another")
            made = planning.plan(self._state, [request], self._those_known)
            self._records += made.records
            bodies = {record.place: record.body for record in made.records}
            self._known |= {one: fingerprint(bodies[place]) for one, place in made.index}
            self._state = made.state
            return made.answers[0]

    def _those_known(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        return {one: self._known[one] for one in ids if one in self._known}
