"""Recent popularity: how often each item was taken within a trailing window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from dynmm.configuration import Settings
from dynmm.errors import UnsupportedByData
from dynmm.interactions.dataset import Dataset
from dynmm.system import Query, Rankings
from dynmm.topk import rank_in_blocks
from dynmm.types import Events

_DAY_MS = 86_400_000


class RecentPopularitySettings(Settings):
    """Recent popularity."""

    days: int = Field(7, ge=1, le=36_500, description="length of the trailing window in days")
    until: Literal["question", "known"] = Field(
        "question",
        description="where the window ends: with the question, or with the last known event where that is earlier",
    )


class RecentPopularity:
    """Items by the number of their events in the window [as_of - days, as_of).

    The moment itself is outside the window: events of the same timestamp may lie after the question. A query
    without `as_of` asks about the moment just after the last known event. Nothing newer than the question is
    ever counted, in whatever order the questions come. An item without events in the window scores 0.

    Where an exam asks long after the last event that may be counted, that window is empty and says nothing of what is
    popular; `until="known"` then takes the last days that are known.
    """

    settings_type: ClassVar[type[RecentPopularitySettings]] = RecentPopularitySettings
    learns_online: ClassVar[bool] = True

    def __init__(self, settings: RecentPopularitySettings | None = None) -> None:
        self.settings = settings or RecentPopularitySettings()
        self._n_items = 0
        self._log = _TimeLog(np.empty(0, np.int64), np.empty(0, np.int32))

    @property
    def name(self) -> str:
        """Carries the window, e.g. ``recent-popularity-7d``."""
        return f"recent-popularity-{self.settings.days}d"

    def fit(self, dataset: Dataset) -> None:
        """Put the events in time order. Raises UnsupportedByData where any event lacks a timestamp."""
        times = dataset.events.timestamps
        if not dataset.has_time or times is None:
            raise UnsupportedByData(
                f"{self.name} counts within the last {self.settings.days} days, and the events of "
                f"{dataset.info.name!r} have no timestamps; compare with 'popularity' instead"
            )
        order = dataset.in_time_order()
        self._n_items = dataset.n_items
        self._log = _TimeLog(np.asarray(times, np.int64)[order], np.asarray(dataset.events.items, np.int32)[order])

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """See `System.rank`. The score is the count within the window."""
        return rank_in_blocks(self._score, queries, k, self._n_items)

    def learn(self, events: Events) -> None:
        """Append these events; they enter the window of every later question."""
        if events.timestamps is None:
            raise UnsupportedByData(f"{self.name} needs a timestamp with every event that it learns")
        self._log.append(np.asarray(events.timestamps, np.int64), np.asarray(events.items, np.int32))

    def _score(self, queries: Sequence[Query]) -> torch.Tensor:
        moments, rows = np.unique([self._end(query.as_of) for query in queries], return_inverse=True)
        window = self.settings.days * _DAY_MS
        counts = np.empty((len(moments), self._n_items), dtype=np.float32)
        for place, moment in enumerate(moments):
            counts[place] = np.bincount(self._log.between(moment - window, moment), minlength=self._n_items)
        return torch.from_numpy(counts)[torch.from_numpy(rows)]

    def _end(self, asked: int | None) -> int:
        known = self._log.end
        return known if asked is None or (self.settings.until == "known" and asked > known) else asked


class _TimeLog:
    """Items in time order, in arrays that double when full, so that appending costs little."""

    def __init__(self, times: NDArray[np.int64], items: NDArray[np.int32]) -> None:
        """times: (N,) ascending. items: (N,)."""
        self._times, self._items, self._size = times, items, len(times)

    @property
    def end(self) -> int:
        """One millisecond after the last event."""
        return int(self._times[self._size - 1]) + 1 if self._size else 0

    def between(self, start: int, end: int) -> NDArray[np.int32]:
        """Items of the events with start <= time < end."""
        low, high = np.searchsorted(self._times[: self._size], [start, end])
        return self._items[low:high]

    def append(self, times: NDArray[np.int64], items: NDArray[np.int32]) -> None:
        size = self._size + len(times)
        if size > len(self._times):
            self._times = np.resize(self._times, 2 * size)
            self._items = np.resize(self._items, 2 * size)
        self._times[self._size : size], self._items[self._size : size] = times, items
        late = size > 1 and bool((np.diff(self._times[max(0, self._size - 1) : size]) < 0).any())
        self._size = size
        if late:
            order = np.argsort(self._times[:size], kind="stable")
            self._times[:size], self._items[:size] = self._times[:size][order], self._items[:size][order]
