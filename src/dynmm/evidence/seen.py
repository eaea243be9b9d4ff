"""Which user has had which item: eight bytes for each such pair."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.ascending import among, distinct
from dynmm.types import IntArray

#: Fresh pairs that are always tolerated before they join the sorted ones, and the share of these that is.
_SPARE, _SHARE = 10_000, 0.1


class SeenPairs:
    """Distinct pairs of user and item, which only become more."""

    def __init__(self, keys: NDArray[np.int64]) -> None:
        """keys: user * 2^32 + item, ascending and distinct."""
        self._keys = keys
        self._fresh: set[int] = set()

    @classmethod
    def of(cls, users: IntArray, items: IntArray) -> SeenPairs:
        """The distinct pairs of these events. users, items: (N,)."""
        return cls(distinct(_keys(users, items)))

    def add(self, users: IntArray, items: IntArray) -> NDArray[np.int64]:
        """Take these pairs in. Returns the items of those that are new, each pair once."""
        keys = _keys(users, items)
        new = set(keys[~among(keys, self._keys)].tolist()) - self._fresh
        self._fresh |= new
        if len(self._fresh) > _SPARE + _SHARE * len(self._keys):
            self._keys, self._fresh = self.keys(), set()
        return np.fromiter(new, dtype=np.int64, count=len(new)) & 0xFFFFFFFF

    def keys(self) -> NDArray[np.int64]:
        """All pairs, user * 2^32 + item, ascending."""
        fresh = np.fromiter(self._fresh, dtype=np.int64, count=len(self._fresh))
        return np.sort(np.concatenate([self._keys, fresh]), kind="stable")

    def items(self) -> NDArray[np.int64]:
        """The item of every pair."""
        return self.keys() & 0xFFFFFFFF

    @property
    def nbytes(self) -> int:
        """Bytes, with some 90 for each fresh pair."""
        return self._keys.nbytes + 90 * len(self._fresh)


def _keys(users: IntArray, items: IntArray) -> NDArray[np.int64]:
    keys: NDArray[np.int64] = (np.asarray(users, dtype=np.int64) << 32) | items
    return keys
