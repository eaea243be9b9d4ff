"""Chronological order within each user, and each event once, on ten million rows at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dynmm.interactions.fields import ITEM, KIND, POSITION, TIME, USER, TimeResolution

#: Keys are packed into one int64 as long as they stay below this.
_ROOM = 1 << 62
#: Timestamps are mostly whole days or seconds.
_UNITS_MS = (86_400_000, 1_000)


def in_order(frame: pl.DataFrame, resolution: TimeResolution) -> tuple[pl.DataFrame, int]:
    """Rows by user and then in the order that is known, each event once; and how many repeats there were.

    frame: dense integers. A repeat has the same user, item, timestamp, position and kind as an earlier row.
    What is equal in all keys keeps the order of the rows. Rows of unknown place (a missing position or
    timestamp) come first, so that they are never taken for a user's newest event. Where no order is known,
    items decide, and the order of the rows means nothing.
    """
    names = {"order": [USER, POSITION], "second": [USER, TIME, POSITION], "day": [USER, TIME, POSITION]}
    key = packed(frame, names.get(resolution, [USER, TIME, POSITION, ITEM]))
    rows = np.argsort(key, kind="stable")
    key = key[rows]
    frame = frame[rows]
    del rows
    place = np.cumsum(np.concatenate([[False], key[1:] != key[:-1]]), dtype=np.int64)
    del key
    event = pl.Series(packed(frame, [ITEM, KIND, TIME, POSITION], before=place))
    first = event.is_first_distinct()
    repeated = frame.height - int(first.sum())
    return (frame.filter(first) if repeated else frame), repeated


def packed(frame: pl.DataFrame, names: Sequence[str], before: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """(N,) one integer per row that sorts and compares as the named columns do, nulls first.

    before: (N,) a key that comes before the columns. Columns that the frame lacks are left out.
    """
    key = np.zeros(frame.height, np.int64) if before is None else before
    for name in names:
        if name not in frame.columns or frame[name].null_count() == frame.height:
            continue
        values = _from_zero(frame[name])
        size = int(values.max()) + 1
        if (int(key.max()) + 1) * size >= _ROOM:
            key, values = _ranked(key), _ranked(values)
            size = int(values.max()) + 1
        key = key * size + values
    return key


def _from_zero(column: pl.Series) -> NDArray[np.int64]:
    """Whole numbers from 0, in the same order; null is 0 where there is one."""
    gaps = column.null_count() > 0
    low = cast(int, column.min())
    values: NDArray[np.int64] = (column.cast(pl.Int64).fill_null(low) - low).to_numpy()
    for unit in _UNITS_MS:
        if values.max() >= unit and not (values % unit).any():
            values = values // unit
            break
    return np.where(column.is_null().to_numpy(), 0, values + 1) if gaps else values


def _ranked(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each value among the distinct values."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64, copy=False)
