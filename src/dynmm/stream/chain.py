"""Records, each chained to the one before it by sha256, so that nothing can change unseen."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import NamedTuple

from dynmm.errors import TamperedArtefact
from dynmm.stream.canonical import event_of, mark_of
from dynmm.stream.events import Entry, Mark

EVENT, MARK = 0, 1
GENESIS = bytes(32)
#: What it is, its place, the events before it, and when it was received (0 for a mark), big-endian.
_HEADER = struct.Struct(">Bqqq")


class Record(NamedTuple):
    """A row of the log. place: records before it. at: events before it. digest: the chain up to here, 32 bytes."""

    place: int
    what: int
    at: int
    received: int
    body: bytes
    digest: bytes


class State(NamedTuple):
    """Where a log ends. records and events: how many. digest: the chain over all of them."""

    records: int = 0
    events: int = 0
    digest: bytes = GENESIS

    @property
    def head(self) -> str:
        """Hex of the chain."""
        return self.digest.hex()

    @property
    def marks(self) -> int:
        """How many marks there are."""
        return self.records - self.events


def digest_of(before: bytes, place: int, what: int, at: int, received: int, body: bytes) -> bytes:
    """The link of a record to the chain before it."""
    return hashlib.sha256(before + _HEADER.pack(what, place, at, received) + body).digest()


def chained(state: State, what: int, received: int, body: bytes) -> tuple[Record, State]:
    """A new record behind `state`, and the state behind it."""
    digest = digest_of(state.digest, state.records, what, state.events, received, body)
    record = Record(state.records, what, state.events, received, body, digest)
    return record, after(record)


def chained_events(state: State, received: int, bodies: Iterable[bytes]) -> tuple[list[Record], State]:
    """Records of events that were accepted together behind `state`, as `chained` makes each, and the state behind."""
    place, at, digest = state
    records = []
    for body in bodies:
        digest = digest_of(digest, place, EVENT, at, received, body)
        records.append(Record(place, EVENT, at, received, body, digest))
        place, at = place + 1, at + 1
    return records, State(place, at, digest)


def after(record: Record) -> State:
    """The state of a log that ends with this record."""
    return State(record.place + 1, record.at + (record.what == EVENT), record.digest)


def check(state: State, record: Record, where: str) -> State:
    """The state behind a record that was read after `state`. Raises TamperedArtefact, which names the record."""
    place, what, at, received, body, digest = record
    # A damaged row may hold numbers where bytes were, and the other way round.
    if (
        not (type(at) is type(received) is int and type(body) is type(digest) is bytes and what in (EVENT, MARK))
        or (place, at) != (state.records, state.events)
        or digest != digest_of(state.digest, state.records, int(what), state.events, received, body)
    ):
        raise TamperedArtefact(
            f"{where}: record {state.records} (offset {state.events}) is not what was written; restore the log from "
            f"a copy, or read it up to offset {state.events}"
        )
    return after(record)


def opened(record: Record) -> Entry | Mark:
    """What a checked record says."""
    if record.what == EVENT:
        return Entry(record.at, event_of(record.body), record.received)
    kind, payload = mark_of(record.body)
    return Mark(record.at, record.place - record.at, kind, payload)
