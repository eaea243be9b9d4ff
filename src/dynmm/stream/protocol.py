"""What the engine needs of a log, whatever keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from dynmm.stream.events import Entry, Event, Forgotten, Mark, Receipt


@runtime_checkable
class EventLog(Protocol):
    """An append-only sequence of events and marks. Its order is the order of acceptance.

    Any thread may call any method. Each record is chained to the one before it by sha256, so that two logs
    with equal heads hold the same records.
    """

    @property
    def offset(self) -> int:
        """How many events there are: the offset of the next."""
        ...

    @property
    def marks(self) -> int:
        """How many marks there are: the number of the next."""
        ...

    @property
    def head(self) -> str:
        """Hex of the chain over all records, events and marks. 64 zeros for an empty log."""
        ...

    def append(self, events: Sequence[Event], *, received: int | None = None) -> Receipt:
        """Add events in their order. Returns when they are durable.

        An id that is there already is not added again. received: milliseconds UTC, now where None. Raises
        DataError, which names the event, for one that cannot be stored; then none of the call is. Raises
        StorageError where the disk or the server refuses: the events may be sent again, whatever happened.
        """
        ...

    def mark(self, kind: str, payload: Mapping[str, Any]) -> Mark:
        """Add a control record behind the last event. Durable, and raises, as `append`."""
        ...

    def read(self, start: int = 0, stop: int | None = None, *, marks_from: int = 0) -> Iterator[Entry | Mark]:
        """Records in order, each checked against the chain: events at `start` and later, before `stop`.

        A mark at ``a`` is read where ``start <= a < stop``, so ``read(0, a)`` and ``read(a, b)`` together are
        ``read(0, b)``; with no `stop` the marks behind the last event come too. Marks with a number below
        `marks_from` are left out: what a reader has seen already. What is appended after the call is not
        read. Raises TamperedArtefact, which names the record, where the chain breaks.
        """
        ...

    def holds(self, offset: int, head: str) -> bool:
        """Whether this log once had this offset and this head: whether what was made of it then still applies."""
        ...

    def close(self) -> None:
        """Give back files and connections. May be called again."""
        ...


@runtime_checkable
class ForgettingLog(EventLog, Protocol):
    """A log that can take a user's events out for good."""

    def forget(self, user: str) -> Forgotten:
        """The log becomes the one that would have been fed without this user, record by record."""
        ...
