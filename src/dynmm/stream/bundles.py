"""What a server keeps for a log: a sequence of byte strings, each of them some records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from dynmm.errors import NewerArtefact, StorageError, TamperedArtefact
from dynmm.stream.chain import Record, State, after, check

FORMAT = 1
#: More than JSON adds to the body of a record.
_AROUND = 160


class Version(NamedTuple):
    """generation: another one means that the sequence was rewritten. length: bundles in it."""

    generation: str
    length: int


class Moved(StorageError):
    """The sequence is no longer the one that was known: someone else added to it, or rewrote it."""


class Bundles(Protocol):
    """An append-only sequence on a server. Each method raises StorageError where the server does not answer."""

    #: Most bytes of one bundle.
    largest: int

    def version(self) -> Version:
        """What there is now."""
        ...

    def read(self, start: int, stop: int, generation: str) -> Iterator[bytes]:
        """Bundles from `start` up to, not including, `stop`. Raises Moved where the generation is another."""
        ...

    def add(self, known: Version, bundle: bytes) -> None:
        """Put a bundle behind the last one, durably. Raises Moved, and adds nothing, where `known` is not so now."""
        ...

    def close(self) -> None:
        """Give back connections. May be called again."""
        ...


@runtime_checkable
class RewritableBundles(Bundles, Protocol):
    """A sequence that can be exchanged for another in one step."""

    def replace(self, known: Version, bundles: Iterable[bytes]) -> None:
        """All bundles give way to these, under a new generation. Raises Moved where `known` is not so now."""
        ...


def packed(records: Sequence[Record], largest: int) -> list[tuple[bytes, State]]:
    """Bundles of at most `largest` bytes, each with the state of the log behind it. Raises StorageError."""
    made: list[tuple[bytes, State]] = []
    part: list[Record] = []
    size = _AROUND
    for record in records:
        # A body is ASCII or more inside a string of JSON: a quote takes two bytes there, a NUL six.
        needed = len(json.dumps(record.body.decode(), ensure_ascii=False).encode()) + _AROUND
        if needed + _AROUND > largest:
            raise StorageError(
                f"the record at offset {record.at} has {needed} bytes and the server takes {largest}; allow more there"
            )
        if size + needed > largest:
            made.append((_bytes(part), after(part[-1])))
            part, size = [], _AROUND
        part.append(record)
        size += needed
    if part:
        made.append((_bytes(part), after(part[-1])))
    return made


def _bytes(records: Sequence[Record]) -> bytes:
    rows = [[record.what, record.received, record.body.decode(), record.digest.hex()] for record in records]
    return json.dumps({"format": FORMAT, "records": rows}, ensure_ascii=False, separators=(",", ":")).encode()


def unpacked(state: State, bundle: bytes, where: str) -> Iterator[tuple[Record, State]]:
    """Checked records of a bundle that stands behind `state`, each with the state behind it.

    Raises TamperedArtefact, or NewerArtefact for a later format.
    """
    try:
        content = json.loads(bundle)
        version = content["format"]
        rows = [(*row[:2], row[2].encode(), bytes.fromhex(row[3])) for row in content["records"] if len(row) == 4]
        whole = len(rows) == len(content["records"]) > 0
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        version, whole = None, False
    if isinstance(version, int) and version > FORMAT:
        raise NewerArtefact(f"{where}: format {version!r} of records; this version reads {FORMAT}: upgrade dynmm")
    if not whole or version != FORMAT:
        raise TamperedArtefact(f"{where}: the records from offset {state.events} on cannot be read; restore the log")
    for what, received, body, digest in rows:
        record = Record(state.records, what, state.events, received, body, digest)
        state = check(state, record, where)
        yield record, state
