"""The item latents in half precision, in a file that is mapped into memory: what re-ranks a shortlist exactly."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynmm.retrieval.rowfiles import CHUNK_ROWS, map_rows, write_rows
from dynmm.types import IntArray

#: float16 ends here. Latents are of length one or so.
LARGEST = float(np.finfo(np.float16).max)


def write_halves(path: Path, shape: tuple[int, int], pieces: Iterable[NDArray[np.floating]]) -> None:
    """Write latents, given in pieces of rows, at two bytes a number. Raises StorageError."""
    write_rows(path, np.float16, shape, pieces)


class Halves:
    """Latents on disk. The pages that were read lately are in the system's cache, and count as the system's."""

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        """shape: (I, D). Raises ArtefactError where the file is not what `write_halves` wrote."""
        self.path = path
        self.rows: NDArray[np.float16] = map_rows(path, np.float16, shape)

    @property
    def file_bytes(self) -> int:
        return self.path.stat().st_size

    def scores(self, user: NDArray[np.float32], items: IntArray) -> NDArray[np.float32]:
        """Inner products in float32 of a user with some items, rounded to half precision. (D,), (C,) -> (C,).

        An item's score is the same to the bit whichever other items are asked about: each row is summed by
        itself. A matrix product would be no faster here, and sums a row by where it stands.
        """
        found = np.empty(len(items), dtype=np.float32)
        for start in range(0, len(items), CHUNK_ROWS):
            rows = self.rows[items[start : start + CHUNK_ROWS]].astype(np.float32)
            rows *= user
            found[start : start + CHUNK_ROWS] = rows.sum(axis=1)
        return found
