"""Drawing items by taste among those that have arrived, without a users x items matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.simulation.catalogue import Catalogue
from dynmm.simulation.tastes import Tastes

#: Events are drawn in blocks of this many, which bounds the memory beside the events themselves.
_BLOCK = 500_000


class Sampler:
    """Inverse cumulative draws over items in order of arrival: what has arrived is always a prefix."""

    def __init__(self, catalogue: Catalogue, tastes: Tastes, noise: float) -> None:
        self._tastes, self._noise = tastes, noise
        self._order = np.argsort(catalogue.arrives, kind="stable").astype(np.int32)
        self._arrives = catalogue.arrives[self._order]
        self._by_taste = np.cumsum(catalogue.weights[:, self._order], axis=1)
        self._by_popularity = np.cumsum(catalogue.popularity[self._order])
        self._category = catalogue.category[self._order]
        self._popularity = catalogue.popularity[self._order]

    def draw(
        self, users: NDArray[np.integer], times: NDArray[np.float64], random: np.random.Generator
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """(N,) items that users take at times, and (N,) whether popularity alone decided."""
        items = np.empty(len(users), dtype=np.int32)
        by_noise = random.random(len(users)) < self._noise
        for start in range(0, len(users), _BLOCK):
            rows = slice(start, min(start + _BLOCK, len(users)))
            items[rows] = self._draw_block(users[rows], times[rows], by_noise[rows], random)
        return items, by_noise

    def popular(self, times: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.int32]:
        """(N,) items by popularity alone."""
        return self._order[_prefix_draws(self._by_popularity, self._there(times), random.random(len(times)))]

    def of_category(self, category: int, times: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.int32]:
        """(N,) items of one category by popularity. The category must be open at all times."""
        members = np.flatnonzero(self._category == category)
        there = np.searchsorted(self._arrives[members], times, side="right")
        uniform = random.random(len(times))
        return self._order[members[_prefix_draws(np.cumsum(self._popularity[members]), there, uniform)]]

    def _there(self, times: NDArray[np.float64]) -> NDArray[np.int64]:
        """(N,) how many items have arrived."""
        return np.searchsorted(self._arrives, times, side="right")

    def _draw_block(
        self,
        users: NDArray[np.integer],
        times: NDArray[np.float64],
        by_noise: NDArray[np.bool_],
        random: np.random.Generator,
    ) -> NDArray[np.int32]:
        there = self._there(times)
        ranks = np.empty(len(users), dtype=np.int64)
        taste = self._draw_tastes(users, times, random)
        # One number per event, drawn before tastes part them: a drift changes no event before it.
        uniform = random.random(len(users))
        for one in range(len(self._by_taste)):
            rows = np.flatnonzero((taste == one) & ~by_noise)
            ranks[rows] = _prefix_draws(self._by_taste[one], there[rows], uniform[rows])
        rows = np.flatnonzero(by_noise)
        ranks[rows] = _prefix_draws(self._by_popularity, there[rows], uniform[rows])
        return self._order[ranks]

    def _draw_tastes(
        self, users: NDArray[np.integer], times: NDArray[np.float64], random: np.random.Generator
    ) -> NDArray[np.int64]:
        """(N,) one taste of each user's mixture."""
        cumulative = np.cumsum(self._tastes.at(users, times), axis=1)
        draws = random.random(len(users)) * cumulative[:, -1]
        found: NDArray[np.int64] = np.minimum((draws[:, None] >= cumulative).sum(axis=1), cumulative.shape[1] - 1)
        return found


def _prefix_draws(
    cumulative: NDArray[np.float64], there: NDArray[np.int64], uniform: NDArray[np.float64]
) -> NDArray[np.int64]:
    """(N,) places below `there`, each as likely as its share of the cumulative weight up to there."""
    draws = np.searchsorted(cumulative, uniform * cumulative[there - 1], side="right")
    return np.minimum(draws, there - 1)
