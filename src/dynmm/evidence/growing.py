"""Integers that are added at the end, and read as an array without a copy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.types import IntArray


class Growing:
    """int64 values. The room doubles when it is used up, so that adding one costs little."""

    def __init__(self, values: IntArray | None = None) -> None:
        self._room = np.array([] if values is None else values, dtype=np.int64)
        self._used = len(self._room)

    def __len__(self) -> int:
        return self._used

    def extend(self, values: IntArray) -> None:
        """Add values at the end."""
        needed = self._used + len(values)
        if needed > len(self._room):
            room = np.empty(max(2 * len(self._room), needed, 64), dtype=np.int64)
            room[: self._used] = self.values
            self._room = room
        self._room[self._used : needed] = values
        self._used = needed

    def shorten(self, length: int) -> None:
        """Keep so many values."""
        self._used = length

    @property
    def values(self) -> NDArray[np.int64]:
        """(n,) what is there now, not to be written to."""
        return self._room[: self._used]

    @property
    def nbytes(self) -> int:
        """Bytes, the spare room included."""
        return self._room.nbytes
