"""The one door: what our recommender and every comparison system satisfy.

The evaluator supplies the history in each `Query`; a system ranks dense item ids. Shapes: B queries,
k ranks, L history, C candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dynmm.types import Events, IntArray, UserHistory

if TYPE_CHECKING:
    from dynmm.interactions.dataset import Dataset

#: Fills the places of `Rankings.items` behind the last candidate.
PADDING = -1

_EMPTY = np.empty(0, dtype=np.int32)


@dataclass(frozen=True, eq=False)
class Query:
    """What would this user take next?

    history: the user's events before the question, oldest first. as_of: the moment of the question in
    ms UTC, None where the data has no time. candidates: (C,) dense items to rank, None for the whole
    catalogue. exclude: dense items that must not come back.
    """

    history: UserHistory
    as_of: int | None = None
    candidates: IntArray | None = None
    exclude: IntArray = field(default_factory=lambda: _EMPTY)


def in_time(queries: Sequence[Query]) -> list[int]:
    """Rows in the order of their moments, those without one first: counts over the last days then only move on."""
    return sorted(range(len(queries)), key=lambda row: queries[row].as_of or 0)


@dataclass(frozen=True, eq=False)
class Rankings:
    """The best k items of each query, best first.

    items: (B, k) int32, `PADDING` behind the last candidate. scores: (B, k) float32, non-increasing in
    each row, -inf at padding. Equal scores are ordered by item id. degraded: for each query why its re-ranker did not
    answer, see `Served`, None where it did or was not asked; empty where nothing re-ranks.
    """

    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    degraded: Sequence[str | None] = ()

    def __len__(self) -> int:
        return len(self.items)

    def why(self, row: int) -> str | None:
        """Why one query was not re-ranked, None where it was, or where nothing re-ranks."""
        return self.degraded[row] if self.degraded else None


@runtime_checkable
class System(Protocol):
    """A recommender as the evaluator sees it."""

    @property
    def name(self) -> str:
        """The name in every table and file, e.g. ``item-knn``."""
        ...

    def fit(self, dataset: Dataset) -> None:
        """Learn from `dataset.events` alone; `dataset.validation`, where given, may select but not train.

        Raises UnsupportedByData where the data lacks what the system needs (e.g. timestamps).
        """
        ...

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """The best k candidates of each query. Changes nothing, whatever the batch composition or order."""
        ...

    def learn(self, events: Events) -> None:
        """Take in events that have just happened, in order. Systems that learn nothing online do nothing."""
        ...
