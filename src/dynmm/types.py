"""Small frozen values that travel between stages. Ids in here are dense integers unless said otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.integer]
FloatArray = NDArray[np.floating]
BoolArray = NDArray[np.bool_]

#: Stands for "no timestamp" in int64 arrays of milliseconds UTC.
NO_TIME = np.iinfo(np.int64).min

_EMPTY = np.empty(0, dtype=np.int32)


@dataclass(frozen=True, eq=False)
class UserHistory:
    """What one user did, oldest first.

    items: (L,) int32 dense item ids. timestamps: (L,) int64 ms UTC, or None where the data has no time.
    """

    items: IntArray = field(default_factory=lambda: _EMPTY)
    timestamps: IntArray | None = None

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, eq=False)
class Events:
    """A batch of interactions as columns, N rows, in the order in which they happened.

    users, items: (N,) int32 dense ids. timestamps: (N,) int64 ms UTC (`NO_TIME` where unknown), or None
    where the data has no time. ratings, weights: (N,) float32 or None.
    """

    users: IntArray
    items: IntArray
    timestamps: IntArray | None = None
    ratings: FloatArray | None = None
    weights: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.items)

    def take(self, rows: IntArray | BoolArray | slice) -> Events:
        """The chosen rows, in the order given."""

        def pick(column: NDArray[Any] | None) -> Any:
            return None if column is None else column[rows]

        return Events(
            self.users[rows],
            self.items[rows],
            pick(self.timestamps),
            pick(self.ratings),
            pick(self.weights),
        )


@dataclass(frozen=True)
class Recommendation:
    """One recommended item, with ids as the outside world writes them."""

    item: str
    score: float
    title: str | None = None


@dataclass(frozen=True)
class SimilarItem:
    """An item that is like another.

    score: the cosine of the two latents. parts: what each modality adds to it; they sum to the score. reason: the
    strongest modality in words, None where none brings the two together. attributes: words that hold for both.
    """

    item: str
    score: float
    title: str | None
    parts: dict[str, float]
    reason: str | None
    attributes: tuple[str, ...]
