"""Systems whose every answer can be worked out by hand. They can be read; nothing is mocked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from dynmm.interactions.dataset import Dataset
from dynmm.system import Query, Rankings
from dynmm.topk import rank_in_blocks
from dynmm.types import Events


class ConstantSystem:
    """Gives everybody the same scores, whatever the data says."""

    name = "constant"
    learns_online: ClassVar[bool] = False

    def __init__(self, scores: Sequence[float]) -> None:
        """scores: (I,), one per dense item; -inf is never recommended."""
        self._scores = np.asarray(scores, dtype=np.float32)

    def fit(self, dataset: Dataset) -> None:
        """Learns nothing."""

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """The items by their given score."""
        return rank_in_blocks(self._repeat, queries, k, len(self._scores))

    def learn(self, events: Events) -> None:
        """Learns nothing."""

    def _repeat(self, queries: Sequence[Query]) -> torch.Tensor:
        return torch.from_numpy(self._scores).repeat(len(queries), 1)


class OracleSystem:
    """Knows the answers: each history that it was told about gets its answer first, the others by item id.

    With `misses`, it leaves that many histories, in the order told, without their answer, so that a metric has
    a value known beforehand.
    """

    name = "oracle"
    learns_online: ClassVar[bool] = False

    def __init__(self, queries: Sequence[Query], answers: Sequence[int], n_items: int, *, misses: int = 0) -> None:
        """answers: the item that came after each query's history."""
        told = list(zip(queries, answers, strict=True))[misses:]
        self._answers: Mapping[bytes, int] = {_key(query): answer for query, answer in told}
        self._n_items = n_items

    def fit(self, dataset: Dataset) -> None:
        """Learns nothing: it knows."""

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """The answer scores 1, everything else 0."""
        return rank_in_blocks(self._score, queries, k, self._n_items)

    def learn(self, events: Events) -> None:
        """Learns nothing."""

    def _score(self, queries: Sequence[Query]) -> torch.Tensor:
        scores = torch.zeros(len(queries), self._n_items)
        for row, query in enumerate(queries):
            if (answer := self._answers.get(_key(query))) is not None:
                scores[row, answer] = 1.0
        return scores


class LastSeenSystem:
    """Learns online as simply as can be: the items that anyone took most recently come first."""

    name = "last-seen"
    learns_online: ClassVar[bool] = True

    def __init__(self) -> None:
        self._moment = 0
        self._seen: NDArray[np.float32] = np.zeros(0, dtype=np.float32)

    def fit(self, dataset: Dataset) -> None:
        """Take the training events in time order, or in the order of the data where there is no time."""
        self._moment, self._seen = 0, np.zeros(dataset.n_items, dtype=np.float32)
        self.learn(dataset.events.take(dataset.in_time_order()))

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """The score is the number of the item's latest event."""
        return rank_in_blocks(self._repeat, queries, k, len(self._seen))

    def learn(self, events: Events) -> None:
        """Note when each item was last taken."""
        for item in events.items.tolist():
            self._moment += 1
            self._seen[item] = self._moment

    def _repeat(self, queries: Sequence[Query]) -> torch.Tensor:
        return torch.from_numpy(self._seen).repeat(len(queries), 1)


def _key(query: Query) -> bytes:
    return np.asarray(query.history.items, dtype=np.int64).tobytes()
