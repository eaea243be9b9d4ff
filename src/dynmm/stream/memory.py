"""A log in memory: for a recommender that was not saved yet, and for tests. What it holds ends with the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dynmm.stream.chain import EVENT, MARK, START, chained
from dynmm.stream.events import Entry, Event, Mark, Receipt, event_text, mark_text


class MemoryLog:
    """See `EventLog`. Acknowledged means kept in memory."""

    read_only = False

    def __init__(self) -> None:
        self._records: list[Entry | Mark] = []
        self._heads = [START]
        self._known: dict[str, Event] = {}
        self._marks = 0
        self._lock = threading.Lock()

    @property
    def offset(self) -> int:
        """See `EventLog`."""
        return len(self._records) - self._marks

    @property
    def length(self) -> int:
        """See `EventLog`."""
        return len(self._records)

    @property
    def head(self) -> str:
        """See `EventLog`."""
        return self._heads[-1].hex()

    def head_at(self, length: int) -> str | None:
        """See `EventLog`."""
        return self._heads[length].hex() if 0 <= length < len(self._heads) else None

    def append(self, events: Sequence[Event], *, received: int | None = None) -> Receipt:
        """See `EventLog`."""
        for event in events:
            event.check()
        moment = time.time_ns() // 1_000_000 if received is None else received
        accepted: list[int] = []
        duplicates: list[str] = []
        conflicts: list[str] = []
        with self._lock:
            for event in events:
                if event.id in self._known:
                    (duplicates if self._known[event.id] == event else conflicts).append(event.id)
                    continue
                self._known[event.id] = event
                accepted.append(self.offset)
                self._heads.append(chained(self._heads[-1], EVENT, event.id, moment, event_text(event)))
                self._records.append(Entry(self.offset, event, moment))
            return Receipt(tuple(accepted), tuple(duplicates), tuple(conflicts), self.offset)

    def mark(self, kind: str, payload: Mapping[str, Any]) -> Mark:
        """See `EventLog`."""
        text = mark_text(kind, payload)
        with self._lock:
            made = Mark(self.offset, self._marks, kind, dict(payload))
            self._heads.append(chained(self._heads[-1], MARK, "", 0, text))
            self._records.append(made)
            self._marks += 1
            return made

    def read(self, start: int = 0, stop: int | None = None, *, marks_from: int = 0) -> Iterator[Entry | Mark]:
        """See `EventLog`."""
        for record in self._records[:]:
            if isinstance(record, Mark):
                if record.number >= marks_from and (stop is None or record.at <= stop):
                    yield record
            elif start <= record.offset and (stop is None or record.offset < stop):
                yield record

    def close(self) -> None:
        """Nothing to close."""
