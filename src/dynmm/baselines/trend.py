"""Recent popularity that fades with every event."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: The inflated unit is brought back to 1 before it could overflow.
_CEILING = 1e150


class Trend:
    """Each event of an item counts 1, and half of that after `half_life` further events of any item.

    Instead of shrinking all items at every event, the unit in which new events are counted grows.
    """

    def __init__(self, n_items: int, half_life: float) -> None:
        self._growth = 2.0 ** (1.0 / half_life)
        self._unit = 1.0
        self._mass = np.zeros(n_items)

    def take(self, item: int) -> None:
        """One more event."""
        self._unit *= self._growth
        self._mass[item] += self._unit
        if self._unit > _CEILING:
            self._mass /= self._unit
            self._unit = 1.0

    def take_all(self, items: NDArray[np.integer]) -> None:
        """Many events, in order. items: (N,)."""
        ages = np.arange(len(items) - 1, -1, -1, dtype=np.float64)
        fresh = np.bincount(items, weights=self._growth**-ages, minlength=len(self._mass))
        self._mass = self._mass / self._unit * self._growth ** -float(len(items)) + fresh
        self._unit = 1.0

    def counts(self) -> NDArray[np.float64]:
        """(I,) faded counts as of the last event."""
        return self._mass / self._unit
