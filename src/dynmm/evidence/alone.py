"""What is known of items by themselves, as columns of a score. I items, N of them asked about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.items import ItemStatistics
from dynmm.types import IntArray


def lately(
    counts: ItemStatistics, n_items: int, as_of: int | None, days: int, items: IntArray | None = None
) -> NDArray[np.float32]:
    """(N,) log(1 + distinct people, each by their say, in the days before a moment) of these dense items, or of all
    I; 0 where there is no moment."""
    out = np.zeros(n_items if items is None else len(items), dtype=np.float32)
    if as_of is not None and counts.trend is not None:
        # Events at the very moment are those that are asked about.
        counted = counts.trend.said(days, as_of - 1, items)[: len(out)]
        out[: len(counted)] = np.log1p(counted)
    return out


def ever(counts: ItemStatistics, n_items: int, items: IntArray | None = None) -> NDArray[np.float32]:
    """(N,) log(1 + distinct people who took an item) of these dense items, or of all I."""
    wanted = np.arange(n_items) if items is None else items
    return np.log1p(counts.people_of(wanted)).astype(np.float32)
