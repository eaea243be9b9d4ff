"""The validation that chooses the epoch: NDCG@10 over the whole catalogue, less the user's history."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from dynmm.interactions.cases import Cases
from dynmm.randomness import generator
from dynmm.system import Rankings
from dynmm.topk import rank_by_vectors
from dynmm.types import IntArray

_K = 10


class Selection:
    """A fixed sample of validation cases, asked again after every epoch."""

    def __init__(self, cases: Cases, most: int, seed: int) -> None:
        """most: cases beyond this many are sampled, the same ones for the same seed.

        Cases without a history are left out: every epoch would answer them alike.
        """
        asked = np.flatnonzero((np.diff(cases.history_offsets) > 0) & (np.diff(cases.target_offsets) > 0))
        if len(asked) > most:
            asked = np.sort(generator(seed, "validation").choice(asked, most, replace=False))
        self._queries = [cases.query(case) for case in asked.tolist()]
        self._targets = [cases.targets(case) for case in asked.tolist()]
        #: (L,) dense items of each case, oldest first.
        self.histories: list[IntArray] = [query.history.items for query in self._queries]

    def __len__(self) -> int:
        return len(self._queries)

    def ndcg(self, users: torch.Tensor, items: torch.Tensor) -> float:
        """Mean NDCG@10. users: (B, D), one vector for each of `histories`. items: (I, D)."""
        return mean_ndcg(rank_by_vectors(users, items, self._queries, _K), self._targets)


def mean_ndcg(rankings: Rankings, targets: Sequence[IntArray]) -> float:
    """NDCG at the rankings' depth with one or several targets of equal worth, averaged over queries."""
    depth = rankings.items.shape[1]
    gains = 1 / np.log2(np.arange(2, depth + 2))
    hit: NDArray[np.bool_] = np.stack([np.isin(row, own) for row, own in zip(rankings.items, targets, strict=True)])
    ideal = np.cumsum(gains)[np.minimum([len(own) for own in targets], depth) - 1]
    return float(np.mean((hit * gains).sum(1) / ideal))
