"""A learner that knows a simulated world, all but its users' tastes: nobody who has to learn them can be faster.

G guesses, F tastes, I items.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _simulated import TOP
from numpy.typing import NDArray

from dynmm import Dataset
from dynmm.evaluation.replay import Stream
from dynmm.randomness import generator
from dynmm.simulation import World
from dynmm.simulation.catalogue import SUCCESSOR_CHANCES
from dynmm.types import Events, FloatArray

#: Tastes that are weighed against each other.
GUESSES = 4_000


class Informed:
    """Learns a user's tastes, and nothing else: G guesses of them are weighed by the events that came of them."""

    def __init__(self, world: World, base: Dataset) -> None:
        self._world, config = world, world.config
        draws = generator(world.seed, "guesses").gamma(config.taste_focus, size=(GUESSES, config.factors)) + 1e-12
        self._guesses = draws / draws.sum(axis=1, keepdims=True)
        self._weights = np.zeros((base.n_users, GUESSES))
        self._previous: dict[int, int] = {}
        self._learn_all(base.events.take(base.in_time_order()))

    def lists(self, stream: Stream, changed: int) -> NDArray[np.int64]:
        """(N, 10) the best items of each event; what was learned before event `changed` is forgotten there."""
        found = []
        for row, (user, moment) in enumerate(zip(stream.events.users.tolist(), stream.times.tolist(), strict=True)):
            if row == changed:
                self._weights[:] = 0.0
            weights = np.exp(self._weights[user] - self._weights[user].max())
            mixture = weights @ self._guesses / weights.sum()
            every = np.arange(self._world.config.items)
            found.append(np.argsort(-self._chances(mixture[None], user, moment, every)[0], kind="stable")[:TOP])
            self._learn_all(stream.events.take(slice(row, row + 1)))
        return np.stack(found)

    def _chances(
        self, mixtures: FloatArray, user: int, moment: int, items: NDArray[np.integer[Any]]
    ) -> NDArray[np.float64]:
        """(M, K) how likely the user takes each of the items next, under each of (M, F) mixtures of tastes."""
        config, catalogue = self._world.config, self._world.catalogue
        there = catalogue.there((moment - self._world.start_ms) / 1000)
        weights, popular = catalogue.weights * there, catalogue.popularity * there
        liked = mixtures @ (weights[:, items] / weights.sum(axis=1, keepdims=True))
        chances: NDArray[np.float64] = (1 - config.noise) * liked + config.noise * popular[items] / popular.sum()
        if user in self._previous:
            follow = np.zeros(len(there))
            np.add.at(follow, catalogue.successors[self._previous[user]], config.sequence * SUCCESSOR_CHANCES)
            follow[~there] = 0.0
            chances = follow[items] + (1.0 - follow.sum()) * chances
        return chances

    def _learn_all(self, events: Events) -> None:
        assert events.timestamps is not None
        rows = zip(events.users.tolist(), events.items.tolist(), events.timestamps.tolist(), strict=True)
        for user, item, moment in rows:
            self._weights[user] += np.log(self._chances(self._guesses, user, moment, np.array([item]))[:, 0])
            self._previous[user] = item
