"""Many ranges of integers in one array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.types import IntArray


def ranges(starts: IntArray, lengths: IntArray) -> NDArray[np.int64]:
    """starts[0], starts[0] + 1, ... (lengths[0] of them), then the same from starts[1], and so on.

    starts, lengths: (R,), lengths not negative. Returns (sum of lengths,).
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    shifts = np.asarray(starts, dtype=np.int64) - (ends - lengths)
    places: NDArray[np.int64] = np.arange(total, dtype=np.int64) + np.repeat(shifts, lengths)
    return places


def offsets_of(lengths: IntArray) -> NDArray[np.int64]:
    """(R + 1,): where each of R pieces of these lengths starts, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
