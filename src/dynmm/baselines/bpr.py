"""Bayesian personalised ranking (Rendle et al. 2009), from `implicit`, with users folded in from their history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from dynmm.baselines.libraries import implicit_module, one_blas_thread, taken_by_user
from dynmm.configuration import Settings
from dynmm.interactions.dataset import Dataset
from dynmm.randomness import generator
from dynmm.system import Query, Rankings
from dynmm.topk import rank_by_vectors
from dynmm.types import Events, IntArray


class BPRSettings(Settings):
    """Bayesian personalised ranking."""

    factors: int = Field(64, ge=1, description="width of the factors")
    learning_rate: float = Field(0.05, gt=0, description="step size of the fit")
    regularization: float = Field(0.03, ge=0, description="weight of the squared length of the factors")
    iterations: int = Field(100, ge=1, description="passes over the events")
    fold_in_steps: int = Field(20, ge=1, description="gradient steps that make a user of a history")
    fold_in_rate: float = Field(0.1, gt=0, description="size of these steps")
    fold_in_history: int = Field(50, ge=1, description="how many of the newest items of a history they read")
    negatives: int = Field(256, ge=1, description="items, drawn once, that a history's items must beat")
    seed: int = Field(0, ge=0, description="seed of the starting factors and of the negatives")


class BPR:
    """Item factors are fitted once; each query's user is folded in from its history.

    `implicit` offers no fold-in, so the objective of the paper (section 4.1, BPR-Opt) is followed by a fixed
    number of full gradient steps from zero, over the history's items against one fixed sample of items, with
    the item factors and biases held still. Nothing is drawn while ranking.
    """

    name = "bpr"
    settings_type: ClassVar[type[BPRSettings]] = BPRSettings
    learns_online: ClassVar[bool] = False

    def __init__(self, settings: BPRSettings | None = None) -> None:
        self.settings = settings or BPRSettings()
        self._items = np.zeros((0, 1), dtype=np.float32)
        self._negatives = self._items

    def fit(self, dataset: Dataset) -> None:
        """Fit the item factors. Raises MissingExtraError where `implicit` is not installed."""
        library = implicit_module("implicit.cpu.bpr", self.name)
        with one_blas_thread():
            model = library.BayesianPersonalizedRanking(
                factors=self.settings.factors,
                learning_rate=self.settings.learning_rate,
                regularization=self.settings.regularization,
                iterations=self.settings.iterations,
                random_state=self.settings.seed,
                num_threads=1,
            )
            model.fit(taken_by_user(dataset), show_progress=False)
        self._items = np.asarray(model.item_factors, dtype=np.float32)  # the last column is the bias
        drawn = generator(self.settings.seed, "bpr", "negatives").integers(0, len(self._items), self.settings.negatives)
        self._negatives = self._items[drawn]

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """See `System.rank`."""
        users = np.zeros((len(queries), self._items.shape[1]), dtype=np.float32)
        with one_blas_thread():
            for row, query in enumerate(queries):
                users[row] = self._fold_in(query.history.items)
        return rank_by_vectors(torch.from_numpy(users), torch.from_numpy(self._items), queries, k)

    def learn(self, events: Events) -> None:
        """Learns nothing: what is new enters through the histories."""

    def _fold_in(self, history: IntArray) -> NDArray[np.float32]:
        """(F + 1,) the user of a history; the last entry, 1, takes the bias. No history: only the bias counts."""
        taken = self._items[history[-self.settings.fold_in_history :]]
        user = np.zeros(self._items.shape[1], dtype=np.float32)
        user[-1] = 1.0
        for _ in range(self.settings.fold_in_steps):
            margin = (taken @ user)[:, None] - (self._negatives @ user)[None, :]
            doubt = 1.0 / (1.0 + np.exp(margin))  # the slope of ln sigmoid(margin), one for each pair
            ascent = doubt.mean(axis=1) @ taken - doubt.sum(axis=0) @ self._negatives / len(self._negatives)
            user[:-1] += self.settings.fold_in_rate * (
                ascent[:-1] - self.settings.regularization * len(taken) * user[:-1]
            )
        return user
