"""Counts of people made from the raw events, as of any moment of the log: what claims are checked against.

Nothing in here knows the aggregated statistics, so that the two cannot err together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.ascending import distinct, runs
from dynmm.evidence.postings import Postings
from dynmm.interactions.dataset import Dataset
from dynmm.types import Events


class Ledger:
    """Who took what, in which order and when. Items and users are dense; new ones may appear with any event.

    as_of: an offset of the log, the number of events before it: those of the fit come first, all at once, then
    learned ones in their order. None is now. without_user: somebody who is not counted. Each count is of distinct
    people. Every one raises DataError where the log cannot be read as of that offset.
    """

    def __init__(self, postings: Postings, *, ordered: bool) -> None:
        """ordered: whether the order within each user is known."""
        self.postings, self.ordered = postings, ordered

    @classmethod
    def of(cls, dataset: Dataset) -> Ledger:
        """All events of a data set, as fitted."""
        times = dataset.events.timestamps if dataset.has_time else None
        return cls(
            Postings(
                np.array(dataset.offsets, dtype=np.int64),
                np.array(dataset.events.items, dtype=np.int32),
                None if times is None else np.array(times, dtype=np.int64),
            ),
            ordered=dataset.has_order,
        )

    @property
    def offset(self) -> int:
        """Events in the log now."""
        return len(self.postings)

    @property
    def n_fitted(self) -> int:
        """Events of the fit, the first offset that can be asked about."""
        return self.postings.n_fitted

    @property
    def has_time(self) -> bool:
        """Whether events have timestamps, without which there is no trend."""
        return self.postings.times is not None

    def newest(self, as_of: int | None = None) -> int | None:
        """The time of the newest event, ms UTC; None without timestamps."""
        return self.postings.newest(as_of)

    def append(self, events: Events) -> None:
        """Write events at the end, in their order. Raises DataError."""
        self.postings.append(events)

    def takers(self, item: int, as_of: int | None = None, *, without_user: int | None = None) -> int:
        """People who took the item."""
        return _people(self.postings.keys(item, as_of) >> 32, without_user)

    def together_users(
        self, j: int, i: int, window: int, as_of: int | None = None, *, without_user: int | None = None
    ) -> int:
        """People who took both within so many events of each other, in either order; where j is i, took it twice."""
        return _people(self._near(j, i, window, window, as_of), without_user)

    def followed_users(
        self, j: int, i: int, within: int, as_of: int | None = None, *, without_user: int | None = None
    ) -> int:
        """People who took i within the next so many events after j; nobody where the order is not known."""
        return _people(self._near(j, i, within, -1, as_of), without_user) if self.ordered else 0

    def union_users(
        self, sources: Sequence[int], i: int, window: int, as_of: int | None = None, *, without_user: int | None = None
    ) -> int:
        """People who took at least one of the sources and i within so many events of it, in either order."""
        near = [self._near(j, i, window, window, as_of) for j in sources]
        return _people(np.concatenate([np.empty(0, dtype=np.int64), *near]), without_user)

    def trend_users(
        self, i: int, since_ms: int, until_ms: int, as_of: int | None = None, *, without_user: int | None = None
    ) -> int:
        """People who took the item at since_ms < time <= until_ms. Raises UnsupportedByData without timestamps."""
        return _people(self.postings.users_between(i, since_ms, until_ms, as_of), without_user)

    def trend_rank(
        self, i: int, since_ms: int, until_ms: int, as_of: int | None = None, *, without_user: int | None = None
    ) -> int:
        """1 and the number of items that more people took in that time. Raises UnsupportedByData."""
        pairs = self.postings.pairs_between(since_ms, until_ms, as_of)
        if without_user is not None:
            pairs = pairs[(pairs & 0xFFFFFFFF) != without_user]
        # The pairs stand item by item.
        counts = np.diff(runs(pairs >> 32), append=len(pairs))
        own = self.trend_users(i, since_ms, until_ms, as_of, without_user=without_user)
        return 1 + int((counts > own).sum())

    def released(self, item: int, every: int, as_of: int | None = None) -> int:
        """The offset at which an item was last released: once for every so many takers, counted from a secret start.

        What is told of an item as of its last release stays as it is while single people take it, so that a change
        tells of none of them (after Calandrino et al. 2011). The start follows from the events themselves, which
        nobody outside knows. The end of the fit is the first release of every item.
        """
        return self.postings.offset_of_taker(item, every, self._phase(item, every), as_of)

    def _phase(self, item: int, every: int) -> int:
        return (
            int.from_bytes(hashlib.sha256(self.postings.secret + item.to_bytes(8, "big")).digest()[:8], "big") % every
        )

    def save(self, folder: Path) -> None:
        """Write everything. Raises StorageError."""
        from dynmm.evidence.ledgerkeeping import save_ledger

        save_ledger(self, folder)

    @classmethod
    def load(cls, folder: Path) -> Ledger:
        """Read what `save` wrote. Raises ArtefactError."""
        from dynmm.evidence.ledgerkeeping import load_ledger

        return load_ledger(folder)

    def _near(self, j: int, i: int, before: int, behind: int, as_of: int | None) -> NDArray[np.int64]:
        """Users of the events of i that have an event of j at most `before` earlier and at most `behind` later.

        behind: -1 leaves out the event itself and all that come later.
        """
        theirs, ours = self.postings.keys(j, as_of), self.postings.keys(i, as_of)
        # Places are far below 2^32, so the range of keys never reaches another user's events.
        met = np.searchsorted(theirs, ours + behind, side="right") - np.searchsorted(theirs, ours - before)
        itself = 1 if i == j and behind >= 0 else 0
        return ours[met > itself] >> 32


def _people(users: NDArray[np.int64], without: int | None) -> int:
    people = distinct(users)
    return len(people) - (0 if without is None else int((people == without).sum()))
