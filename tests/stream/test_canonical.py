"""The bytes of an event: those of compact JSON, whatever is in it, and back again."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynmm.stream.canonical import event_bodies, event_of
from dynmm.stream.chain import EVENT, State, chained, chained_events
from dynmm.stream.events import Event

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**6), 10**6)
EVENTS = st.builds(
    Event, NAMES, NAMES, NAMES, st.none() | st.integers(-(2**63), 2**63 - 1), NUMBERS, NUMBERS, st.none() | NAMES
)


def as_json(event: Event) -> bytes:
    """By the definition: a list of the fields, numbers but the time as floats, minus zero as zero."""
    fields: list[Any] = list(event)
    fields[4:6] = [None if one is None else float(one) + 0.0 for one in fields[4:6]]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


@given(EVENTS)
def test_the_bytes_of_an_event_are_compact_json_and_give_it_back(event: Event) -> None:
    body = event_bodies([event])[0]
    assert body == as_json(event)
    assert event_of(body) == event


def test_bytes_behind_an_event_are_no_event() -> None:
    body = event_bodies([Event("a", "u", "i", 1)])[0]
    with pytest.raises(ValueError, match="canonical bytes of an event end at"):
        event_of(body + b" []")


def test_events_chained_together_are_chained_as_one_after_the_other() -> None:
    bodies = event_bodies([Event(f"e{n}", "u", "i", n) for n in range(5)])
    before = State(7, 5, hashlib.sha256(b"before").digest())
    expected, state = [], before
    for body in bodies:
        record, state = chained(state, EVENT, 1234, body)
        expected.append(record)
    assert chained_events(before, 1234, bodies) == (expected, state)
    assert chained_events(before, 1234, []) == ([], before)
