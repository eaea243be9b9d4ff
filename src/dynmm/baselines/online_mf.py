"""Online factorisation: item factors that one gradient step follows each event (as river's, for ranking).

`river.reco` predicts ratings: on events that are all positive every prediction becomes the same number. So this is
the same incremental descent with a pairwise loss (Rendle et al. 2009), and a user is what their history sums to, since
a question carries a history and no name (Kabbur et al. 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from dynmm.configuration import Settings
from dynmm.interactions.dataset import Dataset
from dynmm.randomness import generator
from dynmm.system import Query, Rankings
from dynmm.topk import rank_in_blocks
from dynmm.types import Events, IntArray


class OnlineMFSettings(Settings):
    """Online factorisation."""

    factors: int = Field(32, ge=1, description="width of the factors")
    epochs: int = Field(3, ge=1, description="passes over the training events")
    learning_rate: float = Field(0.05, gt=0, description="step of the descent")
    decay: float = Field(0.002, ge=0, description="pull of factors towards zero")
    negatives: int = Field(8, ge=1, description="items that an event's is told from")
    recent: int = Field(20, ge=1, description="history items that a user is made of")


class OnlineMF:
    """Items by the inner product of their factors with the sum of the history's, plus a bias."""

    name = "online-mf"
    settings_type: ClassVar[type[OnlineMFSettings]] = OnlineMFSettings
    learns_online: ClassVar[bool] = True

    def __init__(self, settings: OnlineMFSettings | None = None) -> None:
        self.settings = settings or OnlineMFSettings()
        self._start(0)

    def _start(self, n_items: int) -> None:
        draws = generator(0, "online-mf")
        size = (n_items, self.settings.factors)
        self._had = draws.normal(0, 0.1, size)
        self._wanted = draws.normal(0, 0.1, size)
        self._bias = np.zeros(n_items)
        self._recent: dict[int, list[int]] = {}
        self._draws, self._steps = draws, 0

    def fit(self, dataset: Dataset) -> None:
        """Several passes over the events in the order of time, where there is one."""
        self._start(dataset.n_items)
        events = dataset.events.take(dataset.in_time_order())
        for _ in range(self.settings.epochs):
            self._recent = {}
            self.learn(events)

    def learn(self, events: Events) -> None:
        """One step of descent for each event, then it joins its user's history."""
        for user, item in zip(events.users.tolist(), events.items.tolist(), strict=True):
            recent = self._recent.setdefault(user, [])
            if recent:
                self._step(np.asarray(recent), item)
            recent.append(item)
            del recent[: -self.settings.recent]

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """See `System.rank`."""
        return rank_in_blocks(self._score, queries, k, len(self._bias))

    def _score(self, queries: Sequence[Query]) -> torch.Tensor:
        users = [self._user(np.asarray(query.history.items[-self.settings.recent :])) for query in queries]
        # One row at a time: what a user gets does not hang on the others in the batch.
        scores = np.stack([self._wanted @ user + self._bias for user in users])
        return torch.from_numpy(scores.astype(np.float32))

    def _user(self, recent: IntArray) -> NDArray[np.float64]:
        if not len(recent):
            return np.zeros(self.settings.factors)
        summed: NDArray[np.float64] = self._had[recent.astype(np.int64)].sum(0) / len(recent) ** 0.5
        return summed

    def _step(self, recent: NDArray[np.int64], item: int) -> None:
        settings = self.settings
        user = self._user(recent)
        others = self._draws.integers(0, len(self._bias), settings.negatives)
        others = others[others != item]
        if not len(others):
            return
        ahead = self._wanted[item] @ user + self._bias[item] - self._wanted[others] @ user - self._bias[others]
        push = 1.0 / (1.0 + np.exp(np.clip(ahead, -30, 30))) / len(others)
        rate, total = settings.learning_rate, push.sum()
        pull = total * self._wanted[item] - push @ self._wanted[others]
        self._wanted[item] += rate * (total * user - settings.decay * self._wanted[item])
        self._bias[item] += rate * (total - settings.decay * self._bias[item])
        np.add.at(self._wanted, others, -rate * (push[:, None] * user + settings.decay * self._wanted[others]))
        np.add.at(self._bias, others, -rate * push)
        np.add.at(self._had, recent, rate * (pull / len(recent) ** 0.5 - settings.decay * self._had[recent]))
