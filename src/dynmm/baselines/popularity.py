"""Popularity: how often each item was taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch

from dynmm.configuration import Settings
from dynmm.interactions.dataset import Dataset
from dynmm.system import Query, Rankings
from dynmm.topk import rank_in_blocks
from dynmm.types import Events


class PopularitySettings(Settings):
    """Popularity has nothing to set."""


class Popularity:
    """Items by the number of their events so far: those of the training set, and in a stream each one learned."""

    name = "popularity"
    settings_type: ClassVar[type[PopularitySettings]] = PopularitySettings
    learns_online: ClassVar[bool] = True

    def __init__(self, settings: PopularitySettings | None = None) -> None:
        self.settings = settings or PopularitySettings()
        self._counts = np.zeros(0, dtype=np.float32)

    def fit(self, dataset: Dataset) -> None:
        """Count the training events of each item."""
        self._counts = dataset.item_counts().astype(np.float32)

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """See `System.rank`. The score is the count."""
        return rank_in_blocks(self._score, queries, k, len(self._counts))

    def learn(self, events: Events) -> None:
        """Count these events too."""
        np.add.at(self._counts, events.items, 1)

    def _score(self, queries: Sequence[Query]) -> torch.Tensor:
        return torch.from_numpy(self._counts).repeat(len(queries), 1)
