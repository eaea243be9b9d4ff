"""Small logs for tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dynmm.stream.events import Entry, Event, Mark
from dynmm.stream.sqlite_log import SqliteLog

RECEIVED = 1_700_000_000_000


def event(number: int, user: str | None = None, **fields: object) -> Event:
    values = {"id": f"e{number}", "user": user or f"u{number % 7}", "item": f"i{number % 11}", "timestamp": number}
    return Event(**{**values, **fields})  # type: ignore[arg-type]


def events(count: int, start: int = 0) -> list[Event]:
    return [event(number) for number in range(start, start + count)]


def filled(path: Path, count: int = 30, *, without: str | None = None) -> SqliteLog:
    """Six batches with a mark behind every second one; a user may be left out."""
    log = SqliteLog(path)
    size = max(1, count // 6)
    for number, start in enumerate(range(0, count, size)):
        batch = [one for one in events(min(size, count - start), start) if one.user != without]
        log.append(batch, received=RECEIVED + start)
        if number % 2:
            log.mark("window", {"batch": start})
    return log


def ids(records: Iterable[Entry | Mark]) -> list[str]:
    return [record.event.id for record in records if isinstance(record, Entry)]
