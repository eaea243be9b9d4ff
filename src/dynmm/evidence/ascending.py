"""Sorted integers: their runs, their distinct values, and what is among them.

numpy's own `unique` and `isin` go by hashing, which is many times slower on such integers than sorting them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.types import IntArray


def starts_of_runs(ascending: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) True where a value differs from the one before it."""
    starts = np.ones(len(ascending), dtype=bool)
    np.not_equal(ascending[1:], ascending[:-1], out=starts[1:])
    return starts


def runs(ascending: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each run of equal values starts."""
    return np.flatnonzero(starts_of_runs(ascending))


def distinct(values: IntArray) -> NDArray[np.int64]:
    """The distinct values, ascending. values: (N,) in any order."""
    ascending = np.sort(np.asarray(values, dtype=np.int64))
    return ascending[starts_of_runs(ascending)]


def among(values: IntArray, ascending: IntArray) -> NDArray[np.bool_]:
    """(N,) which of the values are there. values: (N,) in any order."""
    places = np.searchsorted(ascending, values)
    found = places < len(ascending)
    found[found] = ascending[places[found]] == values[found]
    return found
