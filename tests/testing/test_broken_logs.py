"""The contract of logs finds logs that break it, each in one way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dynmm.stream.events import Entry, Event, Forgotten, Mark, Receipt
from dynmm.stream.sqlite_log import SqliteLog
from dynmm.testing import LOG_CHECKS, ContractBroken, check_log


class Backwards(SqliteLog):
    """Takes the events of a call from the last to the first."""

    def append(self, events: Sequence[Event], *, received: int | None = None) -> Receipt:
        return super().append(list(events)[::-1], received=received)


class Credulous(SqliteLog):
    """Tells of conflicts as duplicates."""

    def append(self, events: Sequence[Event], *, received: int | None = None) -> Receipt:
        receipt = super().append(events, received=received)
        return replace(receipt, duplicates=receipt.duplicates + receipt.conflicts, conflicts=())


class Picky(SqliteLog):
    """Takes the good events of a call that holds a bad one."""

    def append(self, events: Sequence[Event], *, received: int | None = None) -> Receipt:
        if len(events) == 2 and events[0].id == "e0":
            super().append(events[:1], received=received)
        return super().append(events, received=received)


class Generous(SqliteLog):
    """Reads the event at `stop`, too."""

    def read(self, start: int = 0, stop: int | None = None, *, marks_from: int = 0) -> Iterator[Entry | Mark]:
        return super().read(start, None if stop is None else stop + 1, marks_from=marks_from)


class Silent(SqliteLog):
    """Keeps no marks."""

    def mark(self, kind: str, payload: Mapping[str, Any]) -> Mark:
        return Mark(self.offset, 0, kind, payload)


class Clockless(SqliteLog):
    """Does not write down when an event was accepted."""

    def append(self, events: Sequence[Event], *, received: int | None = None) -> Receipt:
        return super().append(events, received=0)


class Gullible(SqliteLog):
    """Says of every head that it once was its own."""

    def holds(self, offset: int, head: str) -> bool:
        return offset <= self.offset


class Nostalgic(SqliteLog):
    """Takes nobody out."""

    def forget(self, user: str) -> Forgotten:
        return Forgotten(user, 0, self.marks, self.offset, self.offset, self.head, self.head)


@pytest.mark.parametrize(
    "broken",
    [Backwards, Credulous, Picky, Generous, Silent, Clockless, Gullible, Nostalgic],
    ids=lambda one: one.__name__,
)
def test_a_broken_log_is_found(broken: type[SqliteLog], tmp_path: Path) -> None:
    found = []
    for check in LOG_CHECKS:
        folder = tmp_path / check.__name__
        try:
            check(lambda name, folder=folder: broken(folder / name))  # type: ignore[misc]
        except ContractBroken:
            found.append(check.__name__)
    assert found


def test_a_log_of_ones_own_is_checked_in_one_call(tmp_path: Path) -> None:
    check_log(lambda name: SqliteLog(tmp_path / name))
