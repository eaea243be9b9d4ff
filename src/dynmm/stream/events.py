"""What stands in a log: events, marks between them, and the receipt of an append."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Event(NamedTuple):
    """One interaction, as its producer tells it. A tuple, as the entry that holds it: each is made for every event.

    id: unique in the log, chosen by the producer, so that a repeated delivery is known. timestamp: when it
    happened, milliseconds UTC; None where unknown. rating, weight: finite. kind: click, play, purchase, ...
    """

    id: str
    user: str
    item: str
    timestamp: int | None
    rating: float | None = None
    weight: float | None = None
    kind: str | None = None


class Entry(NamedTuple):
    """An event in its place. offset: events before it. received: when it was accepted, milliseconds UTC.

    `received` is written down, so that a replay needs no clock.
    """

    offset: int
    event: Event
    received: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A control record: the boundary of a window, the arrival of an item, a rollback.

    at: events before it; the mark stands after event ``at - 1`` and before event ``at``. number: marks
    before it. payload: JSON.
    """

    at: int
    number: int
    kind: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of the events of one append.

    accepted: offsets of the new ones, in the order of the call. duplicates: ids that were there already with
    the same contents. conflicts: ids that were there with other contents; the first stands, and these are not
    in the log. offset: of the log after this append.
    """

    accepted: tuple[int, ...]
    duplicates: tuple[str, ...]
    conflicts: tuple[str, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a deletion did. events: how many left the log. marks: how many stayed. Heads are hex."""

    user: str
    events: int
    marks: int
    old_offset: int
    new_offset: int
    old_head: str
    new_head: str
