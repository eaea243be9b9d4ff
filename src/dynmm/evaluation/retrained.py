"""The comparison that adapts by brute force: the same system fitted again every few days."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.interactions.dataset import Dataset
from dynmm.system import Query, Rankings, System
from dynmm.types import Events

_log = logging.getLogger(__name__)

DAY_MS = 86_400_000

#: More refits than this would cost days and show nothing that fewer do not.
MAX_REFITS = 60


class Retrained:
    """A system that learns from a stream only by being fitted again on all events so far.

    The first event after a due moment completes the data of that refit, so nothing later is in it, and the
    refit serves from the next step on. A system with a method `refit(dataset)` is kept and continues from
    its own state (warm); any other is made anew by the factory.
    """

    def __init__(
        self,
        factory: Callable[[], System],
        every_days: float,
        *,
        stream_days: float | None = None,
        max_refits: int = MAX_REFITS,
        name: str | None = None,
    ) -> None:
        """stream_days: length of the stream, where known; refits are then spread so that there are at most
        `max_refits`. Without it they stop at that number. Raises ValueError for a period that is not positive."""
        if not every_days > 0:
            raise ValueError(f"every_days must be positive, not {every_days}")
        days = every_days if stream_days is None else max(every_days, stream_days / max_refits)
        self._factory = factory
        self._every_ms = max(1, round(days * DAY_MS))
        self._max_refits = max_refits
        self._given_name = name
        self._inner = factory()
        self._base: Dataset | None = None
        self._since: list[Events] = []
        self._due: int | None = None
        self.refits = 0

    @property
    def name(self) -> str:
        return self._given_name or f"{self._inner.name}-retrained-{self._every_ms / DAY_MS:g}d"

    @property
    def quiet_until(self) -> int | None:
        """Until this moment learning changes no ranking; None before the first event."""
        return np.iinfo(np.int64).max if self.refits >= self._max_refits else self._due

    def fit(self, dataset: Dataset) -> None:
        self._inner = self._factory()
        self._inner.fit(dataset)
        self._base, self._since, self.refits = dataset, [], 0
        times = dataset.events.timestamps
        self._due = None if times is None or not len(times) else int(times.max()) + self._every_ms

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        return self._inner.rank(queries, k)

    def learn(self, events: Events) -> None:
        """Keep the events, and fit again where a refit is due and allowed."""
        assert self._base is not None, "fit comes first"
        assert events.timestamps is not None, "streams have timestamps"
        if not len(events):
            return
        self._since.append(events)
        now = int(events.timestamps[-1])
        if self._due is None:
            self._due = now + self._every_ms
        if now < self._due or self.refits >= self._max_refits:
            return
        self._base = extended(self._base, self._since)
        self._since = []
        self._refit(self._base)
        self.refits += 1
        self._due += ((now - self._due) // self._every_ms + 1) * self._every_ms
        _log.info("%s: refit %d of at most %d", self.name, self.refits, self._max_refits)

    def _refit(self, dataset: Dataset) -> None:
        warm = getattr(self._inner, "refit", None)
        if warm is not None:
            warm(dataset)
        else:
            self._inner = self._factory()
            self._inner.fit(dataset)


def extended(base: Dataset, later: Sequence[Events]) -> Dataset:
    """The data set with events that happened after it, in their order. Vocabularies stay as they are."""
    parts = [base.events, *later]
    users = np.concatenate([part.users for part in parts])
    order = np.argsort(users, kind="stable")
    events = Events(
        users[order],
        np.concatenate([part.items for part in parts])[order],
        _column([part.timestamps for part in parts], order),
        _column([part.ratings for part in parts], order),
        _column([part.weights for part in parts], order),
    )
    counts = np.bincount(events.users, minlength=base.n_users)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return replace(base, events=events, offsets=offsets, given_split=None)


def _column(parts: Sequence[NDArray[Any] | None], order: NDArray[np.int64]) -> Any:
    known = [part for part in parts if part is not None]
    return np.concatenate(known)[order] if len(known) == len(parts) else None
