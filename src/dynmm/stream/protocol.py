"""What every log of events does, wherever it keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from dynmm.stream.events import Entry, Event, Mark, Receipt


@runtime_checkable
class EventLog(Protocol):
    """Events in the order in which they were accepted, each once, with marks between them.

    The order of the log is the order of learning. An event keeps its own time, however late it comes. Records are
    chained: each hash covers the one before it, so that two logs with equal heads hold the same records.
    """

    @property
    def offset(self) -> int:
        """Events in the log."""
        ...

    @property
    def length(self) -> int:
        """Records in the log, events and marks."""
        ...

    @property
    def head(self) -> str:
        """The hash of the chain at its end, in hex."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether this one was opened to be read alone."""
        ...

    def head_at(self, length: int) -> str | None:
        """The hash of the chain after so many records; None where the log is shorter."""
        ...

    def append(self, events: Sequence[Event], *, received: int | None = None) -> Receipt:
        """Take in events; returns when they are durable, all of them or none.

        received: ms UTC, None for now. An id that is there already is not logged again. Safe from several threads,
        which share one write to the disk. Raises DataError for an event that no log may hold, StorageError where the
        events could not be made durable: then none is acknowledged, and the same call may be made again.
        """
        ...

    def mark(self, kind: str, payload: Mapping[str, Any]) -> Mark:
        """Write a mark behind all records so far, durably. Raises DataError and StorageError."""
        ...

    def read(self, start: int = 0, stop: int | None = None, *, marks_from: int = 0) -> Iterator[Entry | Mark]:
        """Events from offset ``start`` to before ``stop`` and marks from number ``marks_from``, in order.

        A mark at offset a stands behind event a - 1 and before event a. What is appended meanwhile may be missing.
        Raises TamperedArtefact, naming the place, where a record is not what was written.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections. What was acknowledged stays."""
        ...
