"""What several users did, one after the other, with the events that are new at the end of each user's part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.ascending import among, starts_of_runs
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

    @cached_property
    def _keys(self) -> NDArray[np.int64]:
        return (self.begins << 32) | self.items

    @cached_property
    def _sorted(self) -> NDArray[np.int64]:
        return np.sort(self._keys)

    @cached_property
    def repeated(self) -> NDArray[np.bool_] | None:
        """(M,) True for events whose user has the item more than once in here; none where nobody has."""
        again = self._sorted[~starts_of_runs(self._sorted)]
        return among(self._keys, again) if len(again) else None

    def slots(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """A number for the pair of user and item of each of these events. places: (n,)."""
        return np.searchsorted(self._sorted, self._keys[places])
