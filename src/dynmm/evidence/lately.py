"""Distinct users of each item within the last days before a moment, and what these users have to say together."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.ascending import distinct, runs
from dynmm.evidence.timeline import Timeline
from dynmm.types import IntArray

#: So many items, taken or not, cost a count as much as an event does.
_CHEAPER = 40
#: The part of a pair that names the user.
_USER = 0xFFFFFFFF


class LatelyCounts:
    """Counts over moment - span < time <= moment.

    A window is counted anew, unless it moved on a little, again and again: then what enters and leaves is counted.
    """

    #: What was counted last follows from the timeline, and changes no answer.
    only_remembers: ClassVar[bool] = True
    #: An event that enters or leaves by itself costs as much as so many of a window that is counted anew.
    DEARER: ClassVar[int] = 25
    #: So many small moves on in a row are each counted anew. Those that follow cost what enters and leaves, for which
    #: everybody's items are written down once: that costs as much as so many counts.
    PATIENCE: ClassVar[int] = 4

    def __init__(self, timeline: Timeline, span_ms: int) -> None:
        self._timeline, self._span = timeline, span_ms
        self._edition, self._first, self._last = -1, 0, 0
        self._users = np.zeros(0, dtype=np.int64)
        #: Small moves in a row, and events of each pair in the window, empty until there were some of those.
        self._small = 0
        self._held: Counter[int] = Counter()

    def users(self, moment: int, n_items: int) -> NDArray[np.int64]:
        """(I,) distinct users; a copy. moment: ms UTC. n_items: at least as many as there are in the timeline."""
        self._move(moment, n_items)
        return self._users.copy()

    def users_and_rank(self, item: int, moment: int, n_items: int) -> tuple[int, int]:
        """Of one item; the rank is 1 and the number of items with more users."""
        self._move(moment, n_items)
        own = int(self._users[item]) if 0 <= item < n_items else 0
        return own, 1 + int((self._users > own).sum())

    def _move(self, moment: int, n_items: int) -> None:
        if n_items > len(self._users):
            self._users = np.pad(self._users, (0, n_items - len(self._users)))
        last = self._timeline.rows_until(moment)
        first = self._timeline.rows_until(moment - self._span)
        back = last < self._last or first < self._first or self._edition != self._timeline.edition
        changes = last - self._last + first - self._first
        if not back and not changes:
            return
        anew = last - first + len(self._users) // _CHEAPER
        self._small = 0 if back or self.DEARER * changes > anew else self._small + 1
        if self._small > self.PATIENCE:
            if self._small == self.PATIENCE + 1:
                self._write_down(self._timeline.pairs[self._first : self._last])
            self._step(first, last)
        else:
            self._wipe()
            self._users = self._counted(self._timeline.pairs[first:last])
        self._edition, self._first, self._last = self._timeline.edition, first, last

    def _counted(self, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
        """(I,) of a window with these pairs."""
        return np.bincount(distinct(pairs) >> 32, minlength=len(self._users))

    def _write_down(self, pairs: NDArray[np.int64]) -> None:
        """What the window holds, to go on from."""
        self._held = Counter(pairs.tolist())

    def _wipe(self) -> None:
        """Nothing is written down any more."""
        self._held = Counter()

    def _step(self, first: int, last: int) -> None:
        for pair in self._timeline.pairs[self._last : last].tolist():
            self._held[pair] += 1
            if self._held[pair] == 1:
                self._users[pair >> 32] += 1
        for pair in self._timeline.pairs[self._first : first].tolist():
            self._held[pair] -= 1
            if not self._held[pair]:
                del self._held[pair]
                self._users[pair >> 32] -= 1

    @property
    def nbytes(self) -> int:
        """Bytes, with some 120 for each pair of user and item that is written down."""
        return self._users.nbytes + 120 * len(self._held)


class LatelySay(LatelyCounts):
    """The same, where a user who took more than `say` distinct items in the window counts less with each of them.

    With n items each counts say / n, so that nobody adds more than `say` in all. Sums are of whole numbers, so they
    are the same to the bit whichever way the window came to where it is.
    """

    #: What one user counts in full.
    WHOLE: ClassVar[int] = 1 << 20
    #: Each change touches all that its user has, and to write that down takes a set for each of them.
    DEARER: ClassVar[int] = 75
    PATIENCE: ClassVar[int] = 10

    def __init__(self, timeline: Timeline, span_ms: int, say: int) -> None:
        super().__init__(timeline, span_ms)
        self._say = say
        self._items: dict[int, set[int]] = {}

    def said(self, moment: int, n_items: int, items: IntArray | None = None) -> NDArray[np.float64]:
        """(N,) users of some items, or of all, each by their say.

        moment: ms UTC. n_items: at least as many as there are in the timeline. items: (N,) dense, below it.
        """
        self._move(moment, n_items)
        sums = self._users if items is None else self._users[items]
        return sums / self.WHOLE

    def _counted(self, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
        own = distinct((pairs & _USER) << 32 | pairs >> 32)  # by user, whose items then stand side by side
        counts = np.diff(runs(own >> 32), append=len(own))
        shares = np.where(counts <= self._say, self.WHOLE, self.WHOLE * self._say // np.maximum(counts, 1))
        # Whole numbers far below 2^53: their sums as floats are exact.
        sums = np.bincount(own & _USER, weights=np.repeat(shares, counts), minlength=len(self._users))
        return sums.astype(np.int64)

    def _write_down(self, pairs: NDArray[np.int64]) -> None:
        super()._write_down(pairs)
        for pair in self._held:
            self._items.setdefault(pair & _USER, set()).add(pair >> 32)

    def _wipe(self) -> None:
        super()._wipe()
        self._items = {}

    def _step(self, first: int, last: int) -> None:
        # What is to be added to the sums, in runs of one amount: one addition for all is far cheaper than one each.
        items: list[int] = []
        steps: list[tuple[int, int]] = []
        for pair in self._timeline.pairs[self._last : last].tolist():
            self._held[pair] += 1
            if self._held[pair] == 1:
                self._have(pair & _USER, pair >> 32, 1, items, steps)
        for pair in self._timeline.pairs[self._first : first].tolist():
            self._held[pair] -= 1
            if not self._held[pair]:
                del self._held[pair]
                self._have(pair & _USER, pair >> 32, -1, items, steps)
        if steps:
            amounts, lengths = np.asarray(steps, dtype=np.int64).T
            np.add.at(self._users, items, np.repeat(amounts, lengths))

    def _have(self, user: int, item: int, change: int, items: list[int], steps: list[tuple[int, int]]) -> None:
        """The user has the item in the window, or has it no more: what their others count follows.

        items: whose sums change; steps: by how much, and how many of them by that.
        """
        own = self._items.setdefault(user, set())
        before = self._share(len(own))
        if change < 0:
            own.discard(item)
        after = self._share(len(own) + (change > 0))
        if own and before != after:
            items.extend(own)
            steps.append((after - before, len(own)))
        if change > 0:
            own.add(item)
        elif not own:
            del self._items[user]
        items.append(item)
        steps.append((after if change > 0 else -before, 1))

    def _share(self, items: int) -> int:
        """What each of so many items counts."""
        return self.WHOLE if items <= self._say else self.WHOLE * self._say // items

    @property
    def nbytes(self) -> int:
        """Bytes, with some 180 for each pair of user and item that is written down."""
        return super().nbytes + 60 * len(self._held)
