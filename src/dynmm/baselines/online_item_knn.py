"""Online item-kNN: the statistics of `item-knn`, advanced with every event, and the trend of the moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from pydantic import Field

from dynmm.baselines.pairs import PairSettings, damped, lag_weights, pair_rows, weighted_history
from dynmm.baselines.pairtable import PairTable
from dynmm.baselines.trend import Trend
from dynmm.interactions.dataset import Dataset
from dynmm.system import Query, Rankings
from dynmm.topk import rank_in_blocks
from dynmm.types import Events, IntArray


class OnlineItemKNNSettings(PairSettings):
    """Online item-kNN. In a stream near pairs say more than in leave-last-out, hence the steeper defaults."""

    window: int = Field(20, ge=1, description="an event pairs with this many earlier events of its user")
    distance_power: float = Field(1.5, ge=0, description="a pair d steps apart counts d^-distance_power")
    backward: float = Field(0.6, ge=0, description="weight of a pair when pointing from the later to the earlier item")
    trend: float = Field(0.4, ge=0, description="power of the trend: 0 ignores it, 1 follows recent popularity in full")
    trend_half_life: float = Field(5000.0, gt=0, description="events after which an event counts half in the trend")
    trend_prior: float = Field(1.0, gt=0, description="events that an item's trend must outweigh to be believed")


class OnlineItemKNN:
    """Candidates by their similarity to the history as counted until now, times the lift of their trend.

    Learning an event changes at most two pairs for each of its user's last `window` events, and costs no more.
    Learning events one by one gives the statistics that fitting on all of them gives. The trend counts its
    half-life in events, so that busy and quiet data are treated alike; training events enter it where their
    order among users is known, that is where the data has timestamps. Nothing is pruned.
    """

    name = "online-item-knn"
    settings_type: ClassVar[type[OnlineItemKNNSettings]] = OnlineItemKNNSettings
    learns_online: ClassVar[bool] = True

    def __init__(self, settings: OnlineItemKNNSettings | None = None) -> None:
        self.settings = settings or OnlineItemKNNSettings()
        self._start(0, ordered=True)

    def _start(self, n_items: int, *, ordered: bool) -> None:
        self._ordered = ordered
        self._counts = np.zeros(n_items)
        self._pairs = PairTable(sp.csr_matrix((n_items, n_items)))
        self._trend = Trend(n_items, self.settings.trend_half_life)
        self._recent: dict[int, list[int]] = {}
        forward, backward = lag_weights(self.settings, ordered=ordered)
        self._forward, self._backward = forward.tolist(), backward.tolist()
        self._source_weights = damped(self._counts, self.settings.source_power)
        self._target_weights = damped(self._counts, self.settings.target_power)

    def fit(self, dataset: Dataset) -> None:
        """Count all pairs of the training events, and their trend at the end."""
        self._start(dataset.n_items, ordered=dataset.has_order)
        blocks = [pairs for _, pairs in pair_rows(dataset, self.settings)]
        self._pairs = PairTable(sp.csr_matrix(sp.vstack(blocks, format="csr")))
        self._counts += dataset.item_counts()
        self._source_weights = damped(self._counts, self.settings.source_power)
        self._target_weights = damped(self._counts, self.settings.target_power)
        for user in np.flatnonzero(np.diff(dataset.offsets)).tolist():
            self._recent[user] = dataset.history(user).items[-self.settings.window :].tolist()
        if dataset.has_time:
            self._trend.take_all(dataset.events.items[dataset.in_time_order()])

    def learn(self, events: Events) -> None:
        """Advance every statistic by these events, one after the other."""
        for user, item in zip(events.users.tolist(), events.items.tolist(), strict=True):
            self._learn_one(user, item)

    def _learn_one(self, user: int, item: int) -> None:
        recent = self._recent.setdefault(user, [])
        for lag, earlier in enumerate(reversed(recent)):
            self._pairs.add(earlier, item, self._forward[lag])
            self._pairs.add(item, earlier, self._backward[lag])
        recent.append(item)
        del recent[: -self.settings.window]
        self._counts[item] += 1
        self._source_weights[item] = max(self._counts[item], 1.0) ** -self.settings.source_power
        self._target_weights[item] = max(self._counts[item], 1.0) ** -self.settings.target_power
        self._trend.take(item)
        self._pairs.tidy()

    def pair_sums(self) -> sp.csr_matrix:
        """(I, I), the pair statistic A of `pairs` as counted until now."""
        return self._pairs.matrix()

    def item_counts(self) -> NDArray[np.float64]:
        """(I,) events of each item until now."""
        return self._counts.copy()

    def recent_counts(self) -> NDArray[np.float64]:
        """(I,) the same, faded by age."""
        return self._trend.counts()

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """See `System.rank`."""
        return rank_in_blocks(self._score, queries, k, len(self._counts))

    def _score(self, queries: Sequence[Query]) -> torch.Tensor:
        lift = self._lift()
        base = self.settings.popularity * self._counts / max(1.0, self._counts.max(initial=0.0))
        scores = np.empty((len(queries), len(self._counts)), dtype=np.float32)
        for row, query in enumerate(queries):
            scores[row] = lift * (base + self._similarity(query.history.items))
        return torch.from_numpy(scores)

    def _lift(self) -> NDArray[np.float64]:
        """(I,) recent count over the one expected from the whole count, both padded by the prior, to a power."""
        recent = self._trend.counts()
        expected = recent.sum() * self._counts / max(1.0, self._counts.sum())
        padding = self.settings.trend_prior
        return np.asarray(((recent + padding) / (expected + padding)) ** self.settings.trend)

    def _similarity(self, history: IntArray) -> NDArray[np.float64]:
        """(I,) similarity of every item to the history, summing to 1 unless it is 0 throughout."""
        similar = np.zeros(len(self._counts))
        recent, weights = weighted_history(history, self.settings, ordered=self._ordered)
        weights = weights * self._source_weights[recent]
        for item, weight in zip(recent.tolist(), weights.tolist(), strict=True):
            self._pairs.accumulate(item, weight, similar)
        similar *= self._target_weights
        total = similar.sum()
        return similar / total if total > 0 else similar
