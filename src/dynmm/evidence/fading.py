"""Weights that fade with time without being touched: what is new counts more instead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import DataError
from dynmm.types import IntArray

#: Half-lives by which the newest event may be ahead of the origin: 2^256 is far from overflowing in a sum.
_AHEAD = 256


@dataclass
class Fading:
    """An event at time t is stored as 2^((t - origin) / half-life), and read times 2^((origin - moment) / half-life).

    half_life, origin: milliseconds. newest: ms, the newest time met so far.
    """

    half_life: float
    origin: float
    newest: int

    def weights(self, times: IntArray) -> NDArray[np.float64]:
        """What events at these times count when stored. times: (N,) int64 ms."""
        weights: NDArray[np.float64] = np.exp2((times - self.origin) / self.half_life)
        return weights

    def meet(self, newest: int) -> int:
        """Take note of a time before its event is weighed.

        Returns n: whatever is stored must be multiplied by 2^n, since the origin has moved. It seldom does.
        """
        self.newest = max(self.newest, newest)
        ahead = (self.newest - self.origin) / self.half_life
        if ahead <= _AHEAD:
            return 0
        steps = int(ahead)
        self.origin += steps * self.half_life
        return -steps

    def unit(self, moment: int | None = None) -> float:
        """What one stored whole is worth at a moment in ms, by default the newest time met. Raises DataError."""
        behind = (self.origin - (self.newest if moment is None else moment)) / self.half_life
        if behind > _AHEAD:
            raise DataError(
                f"{moment} ms is too long before {self.newest} ms, the newest event, to weigh events by their age; "
                "ask about a later moment"
            )
        return float(np.exp2(behind))
