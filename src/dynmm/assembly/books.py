"""The log of a run as claims are checked against it: the events that count, those of the fit and those since."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dynmm.evidence.ledger import Ledger
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits import Split
from dynmm.making_once import made_once
from dynmm.types import Events


class Books:
    """Raw events beside the aggregated statistics. Made when the first claim is."""

    def __init__(self, counted: Dataset) -> None:
        """counted: the events that the statistics of the fit count."""
        self.counted = counted
        self._since: list[Events] = []

    def append(self, events: Events) -> None:
        """Write down events that have just been counted."""
        self._since.append(events)
        if "ledger" in self.__dict__:
            self.ledger.append(events)

    def since(self) -> Events:
        """All events that were written down since the fit, in their order."""
        if not self._since:
            times = None if self.counted.events.timestamps is None else np.empty(0, np.int64)
            return Events(np.empty(0, np.int32), np.empty(0, np.int32), times)
        if len(self._since) > 1:
            self._since = [joined(self._since)]
        return self._since[0]

    @made_once
    def ledger(self) -> Ledger:
        """All of them, in the order of the log."""
        made = Ledger.of(self.counted)
        for events in self._since:
            made.append(events)
        return made

    def taken(self, user: int, as_of: int) -> frozenset[int]:
        """Items that a dense user took after the fit, up to an offset of the log."""
        found: set[int] = set()
        start = len(self.counted.events)
        for events in self._since:
            own = events.take(slice(0, max(0, as_of - start)))
            found.update(own.items[own.users == user].tolist())
            start += len(events)
        return frozenset(found)


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
