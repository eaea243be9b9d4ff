"""Random scores: the floor that every other system has to clear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field

from dynmm.configuration import Settings
from dynmm.interactions.dataset import Dataset
from dynmm.randomness import generator
from dynmm.system import Query, Rankings
from dynmm.topk import rank_in_blocks
from dynmm.types import Events


class RandomSettings(Settings):
    """Random scores."""

    seed: int = Field(0, ge=0, description="seed of the scores")


class Random:
    """Uniform scores drawn from the seed and the query's history: the same history gets the same ranking."""

    name = "random"
    settings_type: ClassVar[type[RandomSettings]] = RandomSettings
    learns_online: ClassVar[bool] = False

    def __init__(self, settings: RandomSettings | None = None) -> None:
        self.settings = settings or RandomSettings()
        self._n_items = 0

    def fit(self, dataset: Dataset) -> None:
        """Takes the size of the catalogue, nothing else."""
        self._n_items = dataset.n_items

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """See `System.rank`."""
        return rank_in_blocks(self._score, queries, k, self._n_items)

    def learn(self, events: Events) -> None:
        """Learns nothing."""

    def _score(self, queries: Sequence[Query]) -> torch.Tensor:
        scores = np.empty((len(queries), self._n_items), dtype=np.float32)
        for row, query in enumerate(queries):
            history = np.asarray(query.history.items, dtype=np.int64)
            scores[row] = generator(self.settings.seed, history.tobytes().hex()).random(self._n_items, np.float32)
        return torch.from_numpy(scores)
