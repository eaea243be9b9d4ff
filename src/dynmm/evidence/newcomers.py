"""People without a history: what is known of an item by itself, with weights of their own.

Facts of a history say nothing of them, and weights of the trend that were learned beside such facts say too much. For
them an item's score is the latent's, which ranks as popularity did at the fit, and

    taken * log(1 + people who took i) + sum over windows W of trends[W] * log(1 + people who took i in the last W days)

I items, N of them asked about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.alone import ever, lately
from dynmm.evidence.items import ItemStatistics
from dynmm.evidence.parts import Part
from dynmm.types import IntArray


@dataclass(frozen=True)
class Newcomers:
    """The weights, not negative, in units of the latent.

    taken: of all people who took an item. trends: days of a window, and its weight. learned_from: first events of
    people. By default nothing is added.
    """

    taken: float = 0.0
    trends: tuple[tuple[int, float], ...] = ()
    learned_from: int = 0

    def total(
        self, counts: ItemStatistics, n_items: int, as_of: int | None, items: IntArray | None = None
    ) -> NDArray[np.float32]:
        """(N,) what facts add to these dense items, or to all I. as_of: the moment of the question, ms UTC."""
        out = np.zeros(n_items if items is None else len(items), dtype=np.float32)
        for _, column, weight in self._columns(counts, n_items, as_of, items):
            out += np.float32(weight) * column
        return out

    def parts(self, counts: ItemStatistics, n_items: int, as_of: int | None, item: int) -> list[Part]:
        """What each fact adds to one item; their sum is its `total`."""
        found = self._columns(counts, n_items, as_of, np.asarray([item]))
        told = [(days, float(weight * column[0])) for days, column, weight in found]
        return [Part("trend" if days else "taken", -1, amount, days) for days, amount in told if amount]

    def _columns(
        self, counts: ItemStatistics, n_items: int, as_of: int | None, items: IntArray | None
    ) -> Iterator[tuple[str, NDArray[np.float32], float]]:
        """Days of the trend, or none, the column of it, and its weight, where it has one."""
        if self.taken:
            yield "", ever(counts, n_items, items), self.taken
        for days, weight in self.trends:
            if weight:
                yield str(days), lately(counts, n_items, as_of, days, items), weight
