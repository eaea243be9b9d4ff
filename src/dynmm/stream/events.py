"""What a log holds: events, marks between them, and what an append answers. Ids are those of the outside world."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dynmm.errors import DataError

#: Longest id in characters; what is longer is no id.
MOST_ID = 4_096
_TEXTS = ("id", "user", "item")


@dataclass(frozen=True, slots=True)
class Event:
    """An interaction as it came in.

    id: under which it is known again. timestamp: ms UTC, None where unknown. rating, weight, kind: where there are any.
    """

    id: str
    user: str
    item: str
    timestamp: int | None
    rating: float | None = None
    weight: float | None = None
    kind: str | None = None

    def check(self) -> None:
        """Raises DataError, which names the event, for what no log may hold."""
        for name in _TEXTS:
            value = getattr(self, name)
            if not isinstance(value, str) or not value or len(value) > MOST_ID or not _plain(value):
                raise DataError(
                    f"event {_short(self.id)}: {name} {_short(value)} is no id; give a text of 1 to {MOST_ID:,} "
                    "characters that UTF-8 can write, without NUL"
                )
        if self.timestamp is not None and not (type(self.timestamp) is int and abs(self.timestamp) < 1 << 62):
            raise DataError(f"event {_short(self.id)}: timestamp {_short(self.timestamp)} is no ms since 1970 UTC")
        for name in ("rating", "weight"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and math.isfinite(value)):
                raise DataError(f"event {_short(self.id)}: {name} {_short(value)} is not a finite number; leave it out")
        if self.kind is not None and not (isinstance(self.kind, str) and _plain(self.kind)):
            raise DataError(f"event {_short(self.id)}: kind {_short(self.kind)} is not a text")


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in the log. offset: events before it, 0 first. received: ms UTC, when it came in."""

    offset: int
    event: Event
    received: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened between events. at: events before it. number: marks before it. payload: JSON values."""

    at: int
    number: int
    kind: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an append answers, once it is durable.

    accepted: offsets of what was new. duplicates: ids that were there with the same contents. conflicts: ids that were
    there with others; the first stands. offset: of the log afterwards.
    """

    accepted: tuple[int, ...]
    duplicates: tuple[str, ...]
    conflicts: tuple[str, ...]
    offset: int


_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_OPTIONAL = ("timestamp", "rating", "weight", "kind")


def event_text(event: Event) -> str:
    """The canonical JSON of an event: only the fields that it has, so that later versions can add some."""
    told: dict[str, Any] = {"user": event.user, "item": event.item}
    if event.timestamp is not None:
        told["timestamp"] = event.timestamp
    if event.rating is not None:
        told["rating"] = float(event.rating)
    if event.weight is not None:
        told["weight"] = float(event.weight)
    if event.kind is not None:
        told["kind"] = event.kind
    return _ENCODE(told)


def event_from(identity: str, text: str) -> Event:
    """Read what `event_text` wrote. Raises ValueError for a field that this version does not know."""
    told = json.loads(text)
    user, item = told.pop("user"), told.pop("item")
    optional = {name: told.pop(name) for name in _OPTIONAL if name in told}
    if told:
        raise ValueError(f"an event has fields that this version does not know: {', '.join(told)}")
    return Event(identity, user, item, optional.pop("timestamp", None), **optional)


def mark_text(kind: str, payload: Mapping[str, Any]) -> str:
    """The canonical JSON of a mark. Raises DataError for a payload that is not JSON."""
    try:
        return json.dumps({"kind": kind, "payload": dict(payload)}, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"the mark {kind!r} cannot be written as JSON: {error}") from error


def _plain(value: str) -> bool:
    if value.isascii():
        return "\0" not in value
    return "\0" not in value and not any("\ud800" <= one <= "\udfff" for one in value)


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
