"""Matrix factorisation by alternating least squares (Hu, Koren, Volinsky 2008), from `implicit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field

from dynmm.baselines.libraries import implicit_module, one_blas_thread, taken_by_query, taken_by_user
from dynmm.configuration import Settings
from dynmm.interactions.dataset import Dataset
from dynmm.system import Query, Rankings
from dynmm.topk import rank_by_vectors
from dynmm.types import Events


class ALSSettings(Settings):
    """Alternating least squares."""

    factors: int = Field(128, ge=1, description="width of the factors")
    regularization: float = Field(0.1, ge=0, description="weight of the squared length of the factors")
    alpha: float = Field(5.0, gt=0, description="confidence in a taken item; one not taken has 1")
    iterations: int = Field(15, ge=1, description="passes over users and items")
    seed: int = Field(0, ge=0, description="seed of the starting factors")


class ALS:
    """Item factors are fitted once; a query's user is the least-squares solution for its history.

    So a user unknown to training is served like any other, and new events count at once.
    """

    name = "als"
    settings_type: ClassVar[type[ALSSettings]] = ALSSettings
    learns_online: ClassVar[bool] = False

    def __init__(self, settings: ALSSettings | None = None) -> None:
        self.settings = settings or ALSSettings()
        self._model: Any = None
        self._n_items = 0

    def fit(self, dataset: Dataset) -> None:
        """Fit the item factors. Raises MissingExtraError where `implicit` is not installed."""
        library = implicit_module("implicit.cpu.als", self.name)
        self._n_items = dataset.n_items
        with one_blas_thread():
            self._model = library.AlternatingLeastSquares(
                factors=self.settings.factors,
                regularization=self.settings.regularization,
                alpha=self.settings.alpha,
                iterations=self.settings.iterations,
                random_state=self.settings.seed,
                num_threads=1,
            )
            self._model.fit(taken_by_user(dataset), show_progress=False)
            # The library computes this product on first use; ranking should change nothing.
            _ = self._model.YtY

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """See `System.rank`."""
        with one_blas_thread():
            users = self._model.recalculate_user(np.arange(len(queries)), taken_by_query(queries, self._n_items))
        return rank_by_vectors(torch.from_numpy(users), torch.from_numpy(self._model.item_factors), queries, k)

    def learn(self, events: Events) -> None:
        """Learns nothing: what is new enters through the histories."""
