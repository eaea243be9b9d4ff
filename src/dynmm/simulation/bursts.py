"""Bursts: for some hours an item or a category is hot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dynmm.randomness import generator
from dynmm.simulation.catalogue import Catalogue
from dynmm.simulation.settings import WorldConfig


@dataclass(frozen=True)
class Burst:
    """From `start` to `end` (seconds, end excluded) a share of all events goes to the target.

    target: an item, or a category, by its number.
    """

    scope: Literal["item", "category"]
    target: int
    start: float
    end: float
    share: float

    def on(self, times: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(N,) whether the burst is on."""
        return (times >= self.start) & (times < self.end)


def make_bursts(config: WorldConfig, catalogue: Catalogue, seed: int) -> tuple[Burst, ...]:
    """Choose what becomes hot: an item of the less popular half, or a category, that is there by then."""
    span = config.days * 86_400
    bursts = []
    for place, one in enumerate(config.bursts):
        random = generator(seed, "burst", place)
        start = one.at * span
        there = np.flatnonzero(catalogue.there(start))
        if one.scope == "category":
            target = int(random.choice(np.unique(catalogue.category[there])))
        else:
            target = int(random.choice(less_popular(catalogue, there, max(1, len(there) // 2))))
        bursts.append(Burst(one.scope, target, start, min(start + one.hours * 3_600, span), one.share))
    return tuple(bursts)


def less_popular(catalogue: Catalogue, items: NDArray[np.integer], number: int) -> NDArray[np.integer]:
    """The `number` least popular of the items."""
    return items[np.argsort(catalogue.popularity[items], kind="stable")[:number]]
