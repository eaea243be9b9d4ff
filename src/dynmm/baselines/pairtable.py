"""A sparse matrix that grows event by event: compressed rows, and what came since in hash maps."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

#: Fresh entries that are always tolerated before they are folded into the compressed rows.
_SPARE = 20_000
#: Beyond that, fresh entries may reach this share of the compressed ones, so folding costs O(1) per entry.
_SHARE = 0.2


class PairTable:
    """(I, I) float64 sums. Reading a row costs its length; adding costs a hash-map access."""

    def __init__(self, base: sp.csr_matrix) -> None:
        """base: (I, I), the sums so far."""
        self._base = base
        self._fresh: dict[int, dict[int, float]] = {}
        self._n_fresh = 0

    def add(self, row: int, column: int, value: float) -> None:
        """Add to one entry."""
        entries = self._fresh.setdefault(row, {})
        before = entries.get(column)
        if before is None:
            self._n_fresh += 1
            entries[column] = value
        else:
            entries[column] = before + value

    def accumulate(self, row: int, weight: float, into: NDArray[np.float64]) -> None:
        """into += weight * row. into: (I,)."""
        start, end = self._base.indptr[row], self._base.indptr[row + 1]
        into[self._base.indices[start:end]] += weight * self._base.data[start:end]
        if entries := self._fresh.get(row):
            columns = np.fromiter(entries.keys(), np.int64, len(entries))
            into[columns] += weight * np.fromiter(entries.values(), np.float64, len(entries))

    def tidy(self) -> None:
        """Fold the fresh entries into the compressed rows once they have become many."""
        if self._n_fresh > _SPARE + _SHARE * self._base.nnz:
            self._base = self.matrix()
            self._fresh, self._n_fresh = {}, 0

    def matrix(self) -> sp.csr_matrix:
        """(I, I), all sums in compressed rows."""
        lengths = [len(entries) for entries in self._fresh.values()]
        rows = np.repeat(np.fromiter(self._fresh, np.int64, len(self._fresh)), lengths)
        columns = np.fromiter((column for entries in self._fresh.values() for column in entries), np.int64)
        values = np.fromiter((value for entries in self._fresh.values() for value in entries.values()), np.float64)
        return sp.csr_matrix(self._base + sp.csr_matrix((values, (rows, columns)), shape=self._base.shape))
