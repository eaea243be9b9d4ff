"""The records of one log written into another, all of them or without a user: the same records give the same log."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import groupby, islice

from dynmm.stream.events import Entry, Mark
from dynmm.stream.protocol import EventLog

#: Events that are handed on together, at most.
_PORTION = 4_096


def copy_records(
    source: EventLog,
    target: EventLog,
    *,
    without: str | None = None,
    leave_out: Collection[str] = (),
    most: int | None = None,
) -> int:
    """Append every record of a log to an empty one, in its order. Returns how many events were left behind.

    without: a user whose events are left behind. leave_out: kinds of marks that are. What follows keeps its order, so
    the copy is the log that never had them. most: records that are looked at, from the first; None for all. Raises
    what the logs raise.
    """
    left = 0

    def kept() -> Iterator[Entry | Mark]:
        nonlocal left
        for record in islice(source.read(), most):
            if isinstance(record, Entry) and record.event.user == without and without is not None:
                left += 1
            elif not (isinstance(record, Mark) and record.kind in leave_out):
                yield record

    for received, group in groupby(kept(), key=lambda one: one.received if isinstance(one, Entry) else None):
        if received is None:
            for mark in group:
                assert isinstance(mark, Mark)
                target.mark(mark.kind, mark.payload)
            continue
        events = [one.event for one in group if isinstance(one, Entry)]
        for start in range(0, len(events), _PORTION):
            target.append(events[start : start + _PORTION], received=received)
    return left
