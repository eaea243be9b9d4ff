"""Recently clicked: the items that anybody took last, newest first (a rule of StreamingRec, Jugovac et al. 2018)."""

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


class RecentlyClickedSettings(Settings):
    """Recently clicked has nothing to set."""


class RecentlyClicked:
    """Items by the place of their newest event in the order of all; an item without one comes last."""

    name = "recently-clicked"
    settings_type: ClassVar[type[RecentlyClickedSettings]] = RecentlyClickedSettings
    learns_online: ClassVar[bool] = True

    def __init__(self, settings: RecentlyClickedSettings | None = None) -> None:
        self.settings = settings or RecentlyClickedSettings()
        self._last = np.zeros(0, np.int64)
        self._clock = 0

    def fit(self, dataset: Dataset) -> None:
        """Take all events in the order of their times; without times the order of the rows is as good as any."""
        self._last, self._clock = np.zeros(dataset.n_items, np.int64), 0
        self._take(dataset.events.items[dataset.in_time_order()].tolist())

    def learn(self, events: Events) -> None:
        """These items are the newest now."""
        self._take(events.items.tolist())

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """See `System.rank`. The score falls with the events since the item was last taken."""
        score = torch.from_numpy(np.where(self._last > 0, 1.0 / (1 + self._clock - self._last), 0.0).astype(np.float32))
        return rank_in_blocks(lambda block: score.expand(len(block), -1).clone(), queries, k, len(self._last))

    def _take(self, items: list[int]) -> None:
        for item in items:
            self._clock += 1
            self._last[item] = self._clock
