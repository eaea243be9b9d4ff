"""The log in memory keeps the contract, and a copy of a log without a user is one that never had them."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from dynmm.stream.copying import copy_records
from dynmm.stream.events import Event
from dynmm.stream.memory import MemoryLog
from dynmm.stream.sqlite_log import SqliteLog
from dynmm.testing.log_contract import LOG_CHECKS, LogCheck


class _Kept(MemoryLog):
    """Opened by its name again, it has what it had: what a log in memory alone cannot promise."""

    made: ClassVar[dict[str, _Kept]] = {}

    @classmethod
    def of(cls, name: str) -> _Kept:
        kept = cls.made.setdefault(name, cls())
        kept._closed = False
        return kept


@pytest.mark.parametrize("check", LOG_CHECKS, ids=lambda check: check.__name__)
def test_the_contract(check: LogCheck) -> None:
    _Kept.made.clear()
    check(_Kept.of)


def _events(count: int, start: int = 0) -> list[Event]:
    return [Event(f"e{n}", f"u{n % 3}", f"i{n % 5}", 1_000 + n) for n in range(start, start + count)]


def test_a_copy_without_a_user_is_the_log_that_never_had_them(tmp_path: Path) -> None:
    with SqliteLog(tmp_path / "a") as log, SqliteLog(tmp_path / "b") as smaller:
        never = MemoryLog()
        log.append(_events(4), received=1)
        log.mark("items", {"number": 0})
        log.mark("boundary", {"number": 0})
        log.append(_events(4, 4), received=2)
        left = copy_records(log, smaller, without="u1", leave_out=("boundary",))
        never.append([event for event in _events(4) if event.user != "u1"], received=1)
        never.mark("items", {"number": 0})
        never.append([event for event in _events(4, 4) if event.user != "u1"], received=2)
        assert left == 3
        assert list(smaller.read()) == list(never.read())
        assert smaller.head == never.head
