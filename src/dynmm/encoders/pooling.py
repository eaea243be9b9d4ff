"""Several frames or tracks of one item become one row. That is how a video comes in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynmm.types import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class Pooled:
    """I items. vectors: (I, W) float32, zeros where absent. present: (I,) bool. quality: (I,) float32.

    attributes: (I, A) float32, NaN where no content of the item knows; None without names.
    """

    vectors: NDArray[np.float32]
    present: BoolArray
    quality: NDArray[np.float32]
    attributes: NDArray[np.float32] | None


def pool(
    items: NDArray[np.int64],
    vectors: NDArray[np.float32],
    quality: NDArray[np.float32],
    attributes: NDArray[np.float32] | None,
    n_items: int,
) -> Pooled:
    """The mean of each item's contents, weighted by their quality.

    items: (E,) dense item of each content, in any order. vectors: (E, W). quality: (E,) in [0, 1]. attributes:
    (E, A), NaN where not known, or None. The quality of an item is weighted in the same way: it is that of what
    its vector was made of. Where all of an item's contents have quality 0, they count alike.
    """
    count = np.bincount(items, minlength=n_items)
    present = count > 0
    weights = quality.astype(np.float64)
    hopeless = (np.bincount(items, weights, minlength=n_items) == 0)[items]
    weights[hopeless] = 1.0
    if count.size and count.max() <= 1:  # nothing to pool, and vectors stay as they are to the bit
        return Pooled(
            _placed(items, vectors, n_items, 0.0),
            present,
            _placed(items, quality[:, None], n_items, 0.0)[:, 0],
            None if attributes is None else _placed(items, attributes, n_items, np.nan),
        )
    pooled = _mean(items, vectors, weights, n_items, 0.0)
    qualities = _mean(items, quality[:, None], weights, n_items, 0.0)[:, 0]
    named = None if attributes is None else _mean(items, attributes, weights, n_items, np.nan)
    return Pooled(pooled, present, qualities, named)


def _placed(items: NDArray[np.int64], values: FloatArray, n_items: int, empty: float) -> NDArray[np.float32]:
    placed = np.full((n_items, values.shape[1]), empty, dtype=np.float32)
    placed[items] = values
    return placed


def _mean(
    items: NDArray[np.int64], values: FloatArray, weights: FloatArray, n_items: int, empty: float
) -> NDArray[np.float32]:
    """Weighted means of the values that are known, (I, V); `empty` where an item has none."""
    result = np.full((n_items, values.shape[1]), empty, dtype=np.float32)
    order = np.argsort(items, kind="stable")
    starts = np.flatnonzero(np.diff(items[order], prepend=-1))
    for column in range(values.shape[1]):
        value, weight = values[order, column].astype(np.float64), weights[order]
        known = ~np.isnan(value)
        total = np.add.reduceat(np.where(known, weight, 0.0), starts)
        summed = np.add.reduceat(np.where(known, value * weight, 0.0), starts)
        some = total > 0
        result[items[order[starts[some]]], column] = summed[some] / total[some]
    return result
