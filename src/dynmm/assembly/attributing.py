"""Which events of a stretch of the log stand behind a fact that counts people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.store import EvidenceStore
from dynmm.factids import FactId
from dynmm.types import Events

_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Stretch:
    """Events from offset `start` of the log to where the store stands. asker: dense, whose own events are behind no
    fact, for a fact never counts who asks; None for nobody."""

    store: EvidenceStore
    events: Events
    start: int
    asker: int | None = None

    def behind(self, fact: FactId, most: int) -> tuple[int, ...]:
        """Offsets of the newest events behind a fact, newest first, at most so many.

        For a pair these are events of people who had both items as the fact asks for it, in its order and as near to
        each other. Empty for a fact that is about items alone.
        """
        if any(one not in self.store.items for one in (fact.item, *fact.sources)):
            return ()
        item = self.store.items.encode(fact.item)
        if fact.kind == "trend":
            rows = self._lately(fact, item)
        elif fact.kind == "taken":
            rows = np.flatnonzero(self.events.items == item)
        else:
            sources = [self.store.items.encode(one) for one in fact.sources]
            found = [self._of_pair(fact.kind, source, item) for source in sources]
            rows = np.unique(np.concatenate(found))
        if self.asker is not None:
            rows = rows[self.events.users[rows] != self.asker]
        return tuple((self.start + rows[::-1][:most]).tolist())

    def _lately(self, fact: FactId, item: int) -> NDArray[np.int64]:
        assert self.events.timestamps is not None, "a trend is of events that have a time"
        age = fact.moment - self.events.timestamps
        return np.flatnonzero((self.events.items == item) & (age > 0) & (age <= fact.days * _DAY_MS))

    def _of_pair(self, kind: str, source: int, item: int) -> NDArray[np.int64]:
        """(R,) rows, ascending."""
        if kind not in ("followed", "together", "union") or (kind == "followed" and not self.store.ledger.ordered):
            return np.empty(0, np.int64)
        pairs, keys = self.store.pairs, self.store.ledger.postings.keys
        theirs, ours = keys(source, self.store.offset), keys(item, self.store.offset)
        # The source lies at most so many events earlier, and so many later.
        before, later = (pairs.within, -1) if kind == "followed" else (pairs.window, pairs.window)
        found = [self._rows(item, ours[_met(ours, theirs, before, later)])]
        if source != item:
            found.append(self._rows(source, theirs[_met(theirs, ours, later, before)]))
        return np.unique(np.concatenate(found))

    def _rows(self, item: int, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the events of an item with these keys. A key is a user and a place, so both stand in one order."""
        keys = self.store.ledger.postings.keys
        fresh = np.setdiff1d(keys(item, self.store.offset), keys(item, self.start), assume_unique=True)
        rows = np.flatnonzero(self.events.items == item)
        rows = rows[np.lexsort((rows, self.events.users[rows]))]
        return rows[np.isin(fresh, wanted)]


def _met(ours: NDArray[np.int64], theirs: NDArray[np.int64], before: int, later: int) -> NDArray[np.bool_]:
    """Which of ours have one of theirs at most `before` earlier and at most `later` later; an event not itself."""
    near = np.searchsorted(theirs, ours + later, side="right") - np.searchsorted(theirs, ours - before)
    itself = np.isin(ours, theirs) & (later >= 0)
    found: NDArray[np.bool_] = near > itself
    return found
