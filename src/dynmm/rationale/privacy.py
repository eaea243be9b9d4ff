"""The public view: of other people it speaks only where k stand behind it, in buckets, and of strength in words."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

from dynmm.rationale.settings import RationaleSettings

#: Public shares are rounded down to one of so many steps.
STEPS = 10


@dataclass(frozen=True)
class Part:
    """A part of a score, coarsely. word: "most", "a large part", "a small part", "hardly any", "none". bar: 0 to 5."""

    word: str
    bar: int


def counted(name: str, people: int, settings: RationaleSettings) -> dict[str, int] | None:
    """A count of distinct people as the view tells it; None where the view may not speak of so few.

    The operator reads `{name: 231}`, the public `{name_more_than: 200}`, or `{name_at_least: k}` up to the first
    bucket. Buckets below 2k are not used, so that no rung holds a single count.
    """
    if people < 1:
        return None
    if settings.view == "operator":
        return {name: people}
    if people < settings.k:
        return None
    rungs = [bucket for bucket in settings.buckets if bucket >= 2 * settings.k]
    place = bisect_left(rungs, people)
    return {f"{name}_more_than": rungs[place - 1]} if place else {f"{name}_at_least": settings.k}


def told_share(share: float, settings: RationaleSettings) -> float:
    """A share of the evidence as the view tells it: 4 places, for the public rounded down to tenths."""
    if settings.view == "operator":
        return round(share, 4)
    return math.floor(share * STEPS + 1e-9) / STEPS


def coarse(parts: Mapping[str, float], settings: RationaleSettings) -> dict[str, Part]:
    """Contributions in words and bars: each as its share of all that raises the score."""
    whole = math.fsum(max(0.0, one) for one in parts.values())
    return {name: _part(max(0.0, one) / whole if whole > 0 else 0.0, settings) for name, one in parts.items()}


def _part(share: float, settings: RationaleSettings) -> Part:
    small, large, most = settings.parts
    if share <= 0.0:
        return Part("none", 0)
    word = "hardly any" if share < small else "a small part" if share < large else "a large part"
    return Part("most" if share >= most else word, max(1, round(5 * share)))
