"""Matrix products whose rows do not depend on what else stands in the batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TILE = 64


def tiled_product(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """left @ right, (B, F) by (F, I), in tiles of a fixed number of rows.

    BLAS picks its kernel, and with it the order of summation, by the shape; with one shape for every tile a
    row's result has the same bits alone and in any batch.
    """
    out = np.empty((len(left), right.shape[1]), dtype=np.float32)
    tile = np.zeros((_TILE, left.shape[1]), dtype=np.float32)
    for start in range(0, len(left), _TILE):
        rows = left[start : start + _TILE]
        tile[: len(rows)], tile[len(rows) :] = rows, 0.0
        out[start : start + len(rows)] = (tile @ right)[: len(rows)]
    return out
