"""Events by time, whatever order they were told in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.growing import Growing
from dynmm.types import IntArray


class Timeline:
    """Moments in ascending order, each with the pair item * 2^32 + user that it belongs to."""

    def __init__(self, times: IntArray, pairs: IntArray) -> None:
        """times: (N,) ms, pairs: (N,), in any order."""
        order = np.argsort(times, kind="stable")
        self._times, self._pairs = Growing(np.asarray(times)[order]), Growing(np.asarray(pairs)[order])
        #: Changes whenever events took a place among those that were there before.
        self.edition = 0

    def __len__(self) -> int:
        return len(self._times)

    @property
    def times(self) -> NDArray[np.int64]:
        """(N,) ascending."""
        return self._times.values

    @property
    def pairs(self) -> NDArray[np.int64]:
        """(N,) in the order of the times."""
        return self._pairs.values

    @property
    def nbytes(self) -> int:
        """Bytes of both."""
        return self._times.nbytes + self._pairs.nbytes

    def add(self, times: IntArray, pairs: IntArray) -> None:
        """More events, in any order. Late ones take their place, at a cost that grows with the number of later ones."""
        if not len(times):
            return
        place = self.rows_until(int(times.min()))
        if place < len(self):
            self.edition += 1
        times = np.concatenate([self.times[place:], times])
        pairs = np.concatenate([self.pairs[place:], pairs])
        order = np.argsort(times, kind="stable")
        for growing, values in ((self._times, times), (self._pairs, pairs)):
            growing.shorten(place)
            growing.extend(values[order])

    def rows_until(self, moment: int) -> int:
        """How many events have time <= moment."""
        return int(np.searchsorted(self.times, moment, side="right"))
