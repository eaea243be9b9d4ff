"""The log of a run as claims are checked against it: the events that count, those of the fit and those since."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from dynmm.evidence.ledger import Ledger
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits import Split
from dynmm.types import Events


class Books:
    """Raw events beside the aggregated statistics. Safe to read in several threads while one writes."""

    def __init__(self, counted: Dataset) -> None:
        """counted: the events that the statistics of the fit count."""
        self.counted = counted
        self._since: list[Events] = []
        self._ledger: Ledger | None = None
        # Whoever makes the ledger, or joins the batches, must miss none that comes meanwhile.
        self._lock = threading.Lock()

    def append(self, events: Events) -> None:
        """Write down events that have just been counted."""
        with self._lock:
            self._since.append(events)
            if self._ledger is not None:
                self._ledger.append(events)

    def since(self) -> Events:
        """All events that were written down since the fit, in their order."""
        with self._lock:
            if not self._since:
                times = None if self.counted.events.timestamps is None else np.empty(0, np.int64)
                return Events(np.empty(0, np.int32), np.empty(0, np.int32), times)
            if len(self._since) > 1:
                self._since = [joined(self._since)]
            return self._since[0]

    @property
    def ledger(self) -> Ledger:
        """All of them, in the order of the log. Made when the first claim is checked."""
        with self._lock:
            if self._ledger is None:
                made = Ledger.of(self.counted)
                for events in self._since:
                    made.append(events)
                self._ledger = made
            return self._ledger

    def taken(self, user: int, as_of: int) -> frozenset[int]:
        """Items that a dense user took after the fit, up to an offset of the log."""
        left = max(0, as_of - len(self.counted.events))
        own = self.since().take(slice(0, left))
        return frozenset(own.items[own.users == user].tolist())


def joined(parts: Sequence[Events]) -> Events:
    """Users, items and times of several batches as one, in their order. parts: at least one."""
    times = [part.timestamps for part in parts if part.timestamps is not None]
    return Events(
        np.concatenate([part.users for part in parts]),
        np.concatenate([part.items for part in parts]),
        np.concatenate(times) if len(times) == len(parts) else None,
    )


def counted_in(split: Split) -> Dataset:
    """The events that the final fit under a split was trained on."""
    return split.train if split.refit_train is None else split.refit_train
