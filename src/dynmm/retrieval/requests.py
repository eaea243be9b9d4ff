"""What is asked of an index besides the users: which items may come back, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynmm.system import Query
from dynmm.types import BoolArray, IntArray

_NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Limits:
    """Which items may come back for each of B users.

    exclude: B arrays of dense items that must not, None for none. candidates: for each user the dense items
    that alone may, None for all. hidden: (I,) bool, items that must not for anybody, e.g. because their latent
    has moved and they are searched elsewhere.
    """

    exclude: Sequence[IntArray] | None = None
    candidates: Sequence[IntArray | None] | None = None
    hidden: BoolArray | None = None

    @classmethod
    def of(cls, queries: Sequence[Query], hidden: BoolArray | None = None) -> Limits:
        """What B queries say of themselves."""
        candidates = [query.candidates for query in queries]
        return cls([query.exclude for query in queries], candidates, hidden)

    def candidates_of(self, row: int) -> NDArray[np.int64] | None:
        """The row's candidates, each once, rising."""
        found = None if self.candidates is None else self.candidates[row]
        return None if found is None else np.unique(found).astype(np.int64)

    def excluded_of(self, row: int) -> NDArray[np.int64]:
        """What this row alone excludes."""
        return _NONE if self.exclude is None else np.asarray(self.exclude[row], dtype=np.int64)

    def allowed(self, row: int, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the items that may come back in a row, in the same order. Candidates do not enter."""
        barred = self.excluded_of(row)
        if len(barred):
            items = items[~np.isin(items, barred)]
        return items if self.hidden is None else items[~self.hidden[items]]


EVERYTHING = Limits()


def checked_users(users: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """(B, D) float32, contiguous. Raises FloatingPointError where a number is not finite, as ranking does."""
    assert users.ndim == 2, "users come as rows"
    assert users.shape[1] == width, "users and items are of one width"
    rows = np.ascontiguousarray(users, dtype=np.float32)
    if not np.isfinite(rows).all():
        raise FloatingPointError("a user vector has numbers that are not finite; nothing can be ranked by it")
    return rows
