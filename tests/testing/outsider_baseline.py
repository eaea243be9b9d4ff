"""A comparison system as a guest would write it: one file, outside the package, that imports public names only.

It recommends what most often came right after the last item of the history.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from dynmm.interactions.dataset import Dataset
from dynmm.system import Query, Rankings
from dynmm.topk import rank_in_blocks
from dynmm.types import Events


class NextItem:
    """First-order Markov chain over items."""

    name = "outsider/next-item"

    def fit(self, dataset: Dataset) -> None:
        """Count who follows whom."""
        events = dataset.events
        self._follows = np.zeros((dataset.n_items, dataset.n_items), dtype=np.float32)
        same_user = events.users[1:] == events.users[:-1]
        np.add.at(self._follows, (events.items[:-1][same_user], events.items[1:][same_user]), 1)

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """By the count; nobody without history gets anything but the order of the ids."""
        return rank_in_blocks(self._score, queries, k, len(self._follows))

    def learn(self, events: Events) -> None:
        """Learns nothing."""

    def _score(self, queries: Sequence[Query]) -> torch.Tensor:
        rows = [
            self._follows[query.history.items[-1]] if len(query.history) else np.zeros(len(self._follows), np.float32)
            for query in queries
        ]
        return torch.from_numpy(np.stack(rows))
