"""The answer that is neither a picture nor a sound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refused:
    """A file that was not decoded.

    reason: in words that complete "it ...". lasting: it would be refused again; not so where a slow or crowded
    machine may be to blame.
    """

    reason: str
    lasting: bool = True
