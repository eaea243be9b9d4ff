"""How many events and distinct people each item has, and its trend, advanced by every event."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.seen import SeenPairs
from dynmm.evidence.tail import Tail
from dynmm.evidence.trend import ItemTrend, TrendSettings
from dynmm.evidence.turns import Turn
from dynmm.interactions.dataset import Dataset
from dynmm.types import Events, IntArray

#: Events that wait before they are counted, read or not.
_TAIL = 4_096


class ItemStatistics:
    """Counts by dense item. Items and users may be new with any event; I items are known so far.

    Learning events, one by one or in portions, gives the counts that a build over all of them gives. Several threads
    may read while one learns.
    """

    def __init__(self, events: NDArray[np.int64], users: NDArray[np.int64], seen: SeenPairs, trend: ItemTrend | None):
        """For `of` and `load`. events, users: (I,)."""
        self._events, self._users, self._seen, self.trend = events, users, seen, trend
        self._tail = Tail("item statistics", timed=False)
        #: Events appended since this object was made: while the number stands, so do the counts.
        self.appended = 0
        self._turn = Turn()

    @classmethod
    def of(cls, dataset: Dataset, settings: TrendSettings | None = None) -> ItemStatistics:
        """Count a data set. Its `trend` is None where the data has no timestamps."""
        seen = SeenPairs.of(dataset.events.users, dataset.events.items)
        users = np.bincount(seen.items(), minlength=dataset.n_items)
        trend = ItemTrend.of(dataset, settings) if dataset.has_time else None
        return cls(dataset.item_counts().astype(np.int64), users.astype(np.int64), seen, trend)

    @property
    def n_items(self) -> int:
        """I: the data set's items, and more where events had more."""
        with self._turn:
            self._settle()
            return len(self._events)

    @property
    def events(self) -> NDArray[np.int64]:
        """(I,) events of each item; a copy."""
        with self._turn:
            self._settle()
            return self._events.copy()

    @property
    def users(self) -> NDArray[np.int64]:
        """(I,) distinct users of each item; a copy."""
        with self._turn:
            self._settle()
            return self._users.copy()

    def events_of(self, items: IntArray) -> NDArray[np.int64]:
        """(N,) events of some items, 0 for unknown ones. Costs nothing of what there is besides. items: (N,) dense."""
        with self._turn:
            self._settle()
            return _of(self._events, items)

    def people_of(self, items: IntArray) -> NDArray[np.int64]:
        """(N,) distinct users of some items, 0 for unknown ones. items: (N,) dense."""
        with self._turn:
            self._settle()
            return _of(self._users, items)

    @property
    def seen(self) -> SeenPairs:
        """Which user has had which item, not to be read while others learn."""
        with self._turn:
            self._settle()
            return self._seen

    @property
    def nbytes(self) -> int:
        """Bytes of the state."""
        trend = 0 if self.trend is None else self.trend.nbytes
        return self._events.nbytes + self._users.nbytes + self._seen.nbytes + trend

    def apart(self) -> ItemStatistics:
        """A copy that advances by itself."""
        with self._turn:
            return copy.deepcopy(self, {} if self.trend is None else {id(self.trend): self.trend.apart()})

    def append(self, events: Events) -> None:
        """Count these events too. Raises DataError for negative ids, or for times that the trend needs."""
        if not len(events):
            return
        if self.trend is not None:
            self.trend.append(events)
        with self._turn:
            self._tail.add(events)
            self.appended += len(events)
            if len(self._tail) >= _TAIL:
                self._settle()

    def _settle(self) -> None:
        if not len(self._tail):
            return
        events = self._tail.take()
        more = int(events.items.max()) + 1 - len(self._events)
        if more > 0:
            # Some room to spare would show as items that do not exist; new items are rare.
            self._events, self._users = (np.pad(counts, (0, more)) for counts in (self._events, self._users))
        np.add.at(self._events, events.items, 1)
        np.add.at(self._users, self._seen.add(events.users, events.items), 1)

    def save(self, folder: Path) -> None:
        """Write everything. Raises StorageError."""
        from dynmm.evidence.itemkeeping import save_items

        with self._turn:
            save_items(self, folder)

    @classmethod
    def load(cls, folder: Path) -> ItemStatistics:
        """Read what `save` wrote. Raises ArtefactError."""
        from dynmm.evidence.itemkeeping import load_items

        return load_items(folder)


def _of(counts: NDArray[np.int64], items: IntArray) -> NDArray[np.int64]:
    """(N,) the counts of some items, 0 for those behind the last."""
    inside = items < len(counts)
    if inside.all():
        return counts[items]
    found = np.zeros(len(items), dtype=np.int64)
    found[inside] = counts[items[inside]]
    return found
