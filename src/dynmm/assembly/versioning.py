"""Versions of the adapter that a run can go back to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dynmm.assembly.whole import whole_of
from dynmm.recommender import Recommender


@dataclass(frozen=True)
class Version:
    """One that is kept; 0 is the frozen base. offset: of the log, where it was made. moment: of the newest event then,
    ms UTC, None where there was none. serves: whether it ranks now."""

    version: int
    offset: int
    moment: int | None
    serves: bool

    def as_json(self) -> dict[str, Any]:
        """The same as one JSON object."""
        return dict(vars(self))


def versions_of(recommender: Recommender) -> tuple[Version, ...]:
    """See `Recommender.versions`."""
    moving = whole_of(recommender).moving
    if moving is None:
        return ()
    first, times = recommender.offset - recommender.counted, recommender.known.events.timestamps
    fitted = int(times.max()) if times is not None and len(times) else None
    made = [(0, 0, fitted), *((number, *moving.adapter.made[number]) for number in sorted(moving.adapter.kept))]
    return tuple(Version(number, first + counted, moment, number == moving.version) for number, counted, moment in made)


def refused_of(recommender: Recommender) -> int:
    """See `Recommender.refused`."""
    moving = whole_of(recommender).moving
    return 0 if moving is None else moving.adapter.refused
