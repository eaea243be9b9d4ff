"""Every user's items in order: a fixed part and what came since, four bytes an event."""

from __future__ import annotations

import itertools
from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.ragged import offsets_of
from dynmm.types import IntArray

_NOTHING: array[int] = array("i")


class Sequences:
    """Items by dense user, oldest first. Any user that is not negative may appear at any time."""

    def __init__(self, offsets: NDArray[np.int64], items: NDArray[np.int32]) -> None:
        """offsets: (U + 1,), user u has `items[offsets[u]:offsets[u + 1]]`."""
        self._offsets, self._items = offsets, items
        self._since: dict[int, array[int]] = {}
        self._n_since = 0

    def __len__(self) -> int:
        return len(self._items) + self._n_since

    @property
    def nbytes(self) -> int:
        """Bytes, with some 120 for each user with newer events."""
        return self._items.nbytes + self._offsets.nbytes + 4 * self._n_since + 120 * len(self._since)

    def of(self, users: IntArray) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Items of these users one after the other, and how many each has, (V,)."""
        # Users behind the fixed part have an empty range at its end.
        known = np.minimum(users, len(self._offsets) - 1)
        begins, ends = self._offsets[known], self._offsets[np.minimum(known + 1, len(self._offsets) - 1)]
        since = [self._since.get(user, _NOTHING) for user in users.tolist()]
        lengths = ends - begins + np.fromiter(map(len, since), np.int64, len(since))
        fixed = self._items.data
        spans = zip(begins.tolist(), ends.tolist(), since, strict=True)
        content = b"".join([piece for begin, end, own in spans for piece in (fixed[begin:end], own)])
        return np.frombuffer(content, np.int32), lengths

    def extend(self, users: IntArray, items: IntArray, counts: IntArray) -> None:
        """Add items at each user's end. users: (V,). items: user by user. counts: (V,) how many are whose."""
        content = np.ascontiguousarray(items, dtype=np.int32).tobytes()
        start = 0
        for user, end in zip(users.tolist(), np.cumsum(counts * 4).tolist(), strict=True):
            own = self._since.get(user)
            if own is None:
                own = self._since[user] = array("i")
            own.frombytes(content[start:end])
            start = end
        self._n_since += len(items)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as one fixed part, to be saved."""
        n_users = max(len(self._offsets) - 1, max(self._since, default=-1) + 1)
        items, lengths = self.of(np.arange(n_users))
        return {"offsets": offsets_of(lengths), "items": items}


def blocks_of_users(offsets: NDArray[np.int64], window: int, pairs: int) -> list[tuple[int, int]]:
    """Runs of users, first and last + 1, that each make at most about so many pairs, unless one user makes more."""
    lengths = np.diff(offsets)
    short = np.minimum(lengths, window)
    made = np.cumsum(short * (short - 1) // 2 + (lengths - short) * window)
    block = made // pairs
    bounds = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(lengths)]
    return [(first, last) for first, last in itertools.pairwise(bounds) if last > first]
