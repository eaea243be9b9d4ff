"""What an append adds: new events, known duplicates, and conflicts, for every backend alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dynmm.errors import DataError
from dynmm.stream.canonical import event_bodies, fingerprint, mark_body, mark_of, received_time
from dynmm.stream.chain import MARK, Record, State, chained, chained_events
from dynmm.stream.events import Event, Mark, Receipt


@dataclass(frozen=True)
class Request:
    """One call, checked and encoded before anyone waits for it. Either events or one mark."""

    ids: Sequence[str]
    bodies: Sequence[bytes]
    received: int = 0
    is_mark: bool = False


#: Which of these ids the log holds, each with the fingerprint of its body.
Known = Callable[[Sequence[str]], Mapping[str, bytes]]


def of_events(events: Sequence[Event], received: int | None) -> Request:
    """A request to add events. Raises DataError."""
    if isinstance(events, str | bytes | Event):
        raise DataError(f"append takes a sequence of events, not one {type(events).__name__}; write append([event])")
    events = list(events)
    moment = int(time.time() * 1000) if received is None else received_time(received)
    return Request([event.id for event in events if isinstance(event, Event)], event_bodies(events), moment)


def of_mark(kind: str, payload: Mapping[str, Any]) -> Request:
    """A request to add a mark. Raises DataError."""
    return Request((), (mark_body(kind, payload),), is_mark=True)


@dataclass(frozen=True)
class Plan:
    """What is to be added. index: the id and the place of each event. state: of the log after it. answers: in order."""

    records: list[Record]
    index: list[tuple[str, int]]
    state: State
    answers: list[Receipt | Mark]


def plan(state: State, requests: Sequence[Request], known: Known) -> Plan:
    """Records to add behind `state`, and the answer to each request."""
    there = known(list(dict.fromkeys(one for request in requests for one in request.ids)))
    new: dict[str, bytes] = {}
    records: list[Record] = []
    index: list[tuple[str, int]] = []
    answers: list[Receipt | Mark] = []
    for request in requests:
        if request.is_mark:
            record, state = chained(state, MARK, 0, request.bodies[0])
            records.append(record)
            answers.append(Mark(record.at, record.place - record.at, *mark_of(record.body)))
            continue
        accepted: list[str] = []
        duplicates: list[str] = []
        conflicts: list[str] = []
        for one, body in zip(request.ids, request.bodies, strict=True):
            if one in new:
                same = new[one] == body
            elif one in there:
                same = there[one] == fingerprint(body)
            else:
                new[one] = body
                accepted.append(one)
                continue
            (duplicates if same else conflicts).append(one)
        added, behind = chained_events(state, request.received, map(new.__getitem__, accepted))
        records += added
        index += zip(accepted, range(state.records, behind.records), strict=True)
        offsets = tuple(range(state.events, behind.events))
        state = behind
        answers.append(Receipt(offsets, tuple(duplicates), tuple(conflicts), state.events))
    return Plan(records, index, state, answers)
