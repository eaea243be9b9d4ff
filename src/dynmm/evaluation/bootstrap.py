"""The paired bootstrap over users: the same resamples for every system and metric.

Shapes: U users, K columns (a metric of a system each), R resamples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.randomness import generator
from dynmm.types import FloatArray

RESAMPLES = 2_000

#: Resamples are drawn in blocks of this many weights, so memory stays flat however many users there are.
_BLOCK_WEIGHTS = 2_000_000


def resampled_means(
    sums: FloatArray, counts: FloatArray | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """(R, K) the mean of each column over `resamples` draws of U users with replacement.

    sums: (U, K) what each user adds up to. counts: (U,) over how many cases, one each where it is None; a
    mean is the drawn sum over the drawn cases, so users with many cases stay together (Efron & Tibshirani
    1993, chapter 6; the cluster form). The draws depend on `seed`, U and R alone, so two systems in one or
    in two calls are resampled alike, which is what makes differences of columns paired. A draw without any
    case has no mean and is nan.
    """
    n_users, n_columns = sums.shape
    rng = generator(seed, "bootstrap", n_users)
    means = np.empty((resamples, n_columns))
    table = np.column_stack([sums, np.ones(n_users) if counts is None else counts]).astype(np.float64)
    step = max(1, _BLOCK_WEIGHTS // max(1, n_users))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        totals = _draw(rng, rows, n_users) @ table
        with np.errstate(invalid="ignore", divide="ignore"):
            means[start : start + rows] = totals[:, :-1] / totals[:, -1:]
    return means


def _draw(rng: np.random.Generator, rows: int, n_users: int) -> NDArray[np.float64]:
    """(rows, U) how often each user is drawn: multinomial weights."""
    chosen = rng.integers(0, n_users, size=(rows, n_users), dtype=np.int64)
    chosen += np.arange(rows)[:, None] * n_users
    return np.bincount(chosen.ravel(), minlength=rows * n_users).reshape(rows, n_users).astype(np.float64)


def interval(means: NDArray[np.float64], *, level: float = 0.95) -> NDArray[np.float64]:
    """(2, ...) lower and upper percentile bounds along the first axis; nan draws are left out."""
    tail = 50.0 * (1.0 - level)
    if np.isnan(means).any():
        return np.asarray(np.nanpercentile(means, [tail, 100.0 - tail], axis=0))
    return np.asarray(np.percentile(means, [tail, 100.0 - tail], axis=0))
