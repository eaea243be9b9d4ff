"""Columns of the evidence score, and what single facts add to one item."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column of the score. fact: see above. name: modality, attribute or days, else empty. recency: of history."""

    fact: str
    name: str = ""
    recency: float = 0.0

    @property
    def label(self) -> str:
        """E.g. ``alike text 0.9``."""
        return " ".join(part for part in (self.fact, self.name, f"{self.recency:g}" if self.recency else "") if part)


@dataclass(frozen=True, eq=False)
class Part:
    """What one fact adds to one item. kind: of evidence. source: dense history item, -1 for a trend. name: modality
    or days. value: place in the table of attributes, else -1."""

    kind: str
    source: int
    amount: float
    name: str = ""
    value: int = -1
