"""The hash chain over the records of a log."""

from __future__ import annotations

from hashlib import sha256

#: What the first record is chained to.
START = sha256(b"dynmm event log").digest()

EVENT, MARK = 0, 1


def chained(previous: bytes, kind: int, identity: str, received: int, body: str) -> bytes:
    """The hash of a record behind another. Lengths stand before texts, so that no two records read alike."""
    name, told = identity.encode(), body.encode()
    return sha256(b"%b%d:%d:%d:%b%d:%b" % (previous, kind, received, len(name), name, len(told), told)).digest()
