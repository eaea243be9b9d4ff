"""What several users did, one after the other, with the events that are new at the end of each user's part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.ragged import offsets_of, ranges
from dynmm.types import IntArray


@dataclass(frozen=True, eq=False)
class Stretch:
    """M events of V users, user by user, oldest first within each.

    items: (M,) int64. begins: (M,) int64, where the event's user starts. fresh_begins: (M,) int64, where the user's
    new events start. fresh: (F,) int64 ascending, the places of the new events.
    """

    items: NDArray[np.int64]
    begins: NDArray[np.int64]
    fresh_begins: NDArray[np.int64]
    fresh: NDArray[np.int64]

    @classmethod
    def of(cls, past: IntArray, n_past: IntArray, new: IntArray, n_new: IntArray) -> Stretch:
        """past, new: items user by user. n_past, n_new: (V,) how many of them each user has."""
        lengths = n_past + n_new
        starts = offsets_of(lengths)[:-1]
        items = np.empty(int(lengths.sum()), dtype=np.int64)
        fresh = ranges(starts + n_past, n_new)
        items[ranges(starts, n_past)] = past
        items[fresh] = new
        return cls(items, np.repeat(starts, lengths), np.repeat(starts + n_past, lengths), fresh)

    def slots(self) -> NDArray[np.int64] | None:
        """(M,) a number for each pair of user and item; none where no user has an item twice."""
        keys = (self.begins << 32) | self.items
        distinct = np.sort(keys)
        again = distinct[1:] == distinct[:-1]
        if not again.any():
            return None
        distinct = distinct[np.concatenate([[True], ~again])]
        return np.searchsorted(distinct, keys)
