"""The one way to write a record as bytes, and the door at which events are checked."""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Mapping, Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]
from json.encoder import encode_basestring as _text
from typing import Any

from dynmm.errors import DataError
from dynmm.stream.events import Event

#: Longest id, kind or name of a user or item, in bytes of UTF-8.
LONGEST_NAME = 1024
_INT64 = 1 << 63
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=True).encode
_decode = json.JSONDecoder().decode
_scan = json.JSONDecoder().raw_decode


def event_bodies(events: Sequence[Event]) -> list[bytes]:
    """The canonical bytes of events. Raises DataError that names the event, the field and the mend."""
    return [_event_body(place, event) for place, event in enumerate(events)]


def _event_body(place: int, event: Event) -> bytes:
    if not isinstance(event, Event):
        raise DataError(f"event {place} is a {type(event).__name__}, not a dynmm.stream.events.Event; make one of it")
    where = (place, event)
    # The bytes that `_encode` gives for a list of these, several times as fast.
    fields = (
        _text(_name(where, "id", event.id)),
        _text(_name(where, "user", event.user)),
        _text(_name(where, "item", event.item)),
        "null" if event.timestamp is None else int.__repr__(_whole(where, "timestamp", event.timestamp)),
        "null" if event.rating is None else float.__repr__(_finite(where, "rating", event.rating)),
        "null" if event.weight is None else float.__repr__(_finite(where, "weight", event.weight)),
        "null" if event.kind is None else _text(_name(where, "kind", event.kind)),
    )
    return f"[{','.join(fields)}]".encode()


def _name(where: tuple[int, Event], field: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _refused(where, field, value, "give a string that is not empty")
    try:
        length = len(value.encode())
    except UnicodeEncodeError:
        raise _refused(where, field, value, "it holds half of a surrogate pair; decode it as UTF-8") from None
    if length > LONGEST_NAME:
        raise _refused(where, field, value, f"it has {length} bytes and may have {LONGEST_NAME}; shorten it")
    return value


def _whole(where: tuple[int, Event], field: str, value: object) -> int:
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise _refused(where, field, value, "give whole milliseconds UTC, or None") from None
    if isinstance(value, bool) or not -_INT64 <= number < _INT64:
        raise _refused(where, field, value, "give milliseconds UTC in 64 bits, or None")
    return number


def _finite(where: tuple[int, Event], field: str, value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise _refused(where, field, value, "give a finite number, or None") from None
    if isinstance(value, str) or not math.isfinite(number):
        raise _refused(where, field, value, "give a finite number, or None")
    return number + 0.0  # minus zero is zero


def _refused(where: tuple[int, Event], field: str, value: object, mend: str) -> DataError:
    place, event = where
    return DataError(f"event {place} (id {_shown(event.id)}): {field} is {_shown(value)}; {mend}. Nothing was stored.")


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def fingerprint(body: bytes) -> bytes:
    """16 bytes that tell one event's contents from another's."""
    return hashlib.sha256(body).digest()[:16]


def mark_body(kind: str, payload: Mapping[str, Any]) -> bytes:
    """The canonical bytes of a mark. Raises DataError where the payload is not JSON."""
    if not isinstance(kind, str) or not kind:
        raise DataError(f"the kind of a mark is {kind!r}; give a string that is not empty")
    try:
        _check_keys(payload)
        return _encode([kind, dict(payload)]).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"the payload of the mark {_shown(kind)} is not JSON: {error}") from None


def _check_keys(value: object) -> None:
    """JSON would quietly turn the key 1 into "1"."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {_shown(key)} is not a string")
            _check_keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_keys(inner)


def received_time(value: object) -> int:
    """Checked milliseconds UTC of acceptance. Raises DataError."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = _INT64
    if not -_INT64 <= number < _INT64:
        raise DataError(f"received is {_shown(value)}; give whole milliseconds UTC in 64 bits")
    return number


def event_of(body: bytes) -> Event:
    """The event of canonical bytes whose chain was checked."""
    text = body.decode()
    fields, end = _scan(text)
    if end != len(text):
        raise ValueError(f"the canonical bytes of an event end at {end}, and not at {len(text)}")
    return Event(*fields)


def id_of(body: bytes) -> str:
    """The id in the canonical bytes of an event: the string behind the first two."""
    return str(scanstring(body.decode(), 2)[0])


def mark_of(body: bytes) -> tuple[str, dict[str, Any]]:
    """Kind and payload of canonical bytes whose chain was checked."""
    kind, payload = _decode(body.decode())
    return kind, payload
