"""The product-quantised index: codes in memory find a shortlist, half-precision latents on disk rank it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.retrieval.codes import Codebook, CodeScan, codebook_shape
from dynmm.retrieval.halves import Halves, write_halves
from dynmm.retrieval.requests import EVERYTHING, Limits, checked_users
from dynmm.retrieval.rowfiles import chunks, map_rows, write_rows
from dynmm.retrieval.settings import Kind, RetrievalSettings
from dynmm.system import PADDING, Rankings

CENTROIDS_FILE = "centroids.npy"
CODES_FILE = "codes.npy"
HALVES_FILE = "halves.npy"


class QuantisedIndex:
    """Finds most of the best items from their codes, and scores what it returns exactly. An `ItemIndex`."""

    kind: Kind = "pq"

    def __init__(self, scan: CodeScan, halves: Halves, settings: RetrievalSettings, facts: dict[str, Any]) -> None:
        """scan and halves: of the same items, in the same order."""
        self.scan, self.halves, self.settings, self.facts = scan, halves, settings, facts

    @property
    def n_items(self) -> int:
        return self.scan.n_items

    @property
    def width(self) -> int:
        return int(self.halves.rows.shape[1])

    def search(self, users: NDArray[np.float32], k: int, limits: Limits = EVERYTHING) -> Rankings:
        """See `ItemIndex.search`. Scores are of latents rounded to half precision.

        A user's candidates, where given, are all scored, so that nothing is missed among them.
        """
        rows = checked_users(users, self.width)
        items = np.full((len(rows), k), PADDING, dtype=np.int32)
        scores = np.full((len(rows), k), -np.inf, dtype=np.float32)
        for row, user in enumerate(rows):
            found, values = self._best(user, k, limits, row)
            items[row, : len(found)], scores[row, : len(found)] = found, values
        return Rankings(items, scores)

    def _best(
        self, user: NDArray[np.float32], k: int, limits: Limits, row: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        candidates = limits.candidates_of(row)
        if candidates is None:
            candidates = np.sort(self.shortlist(user, max(self.settings.shortlist, 2 * k), limits, row))
        else:
            candidates = limits.allowed(row, candidates)
        scores = self.halves.scores(user, candidates)
        # Candidates rise and the sort is stable, so equal scores stay ordered by item.
        order = np.argsort(-scores, kind="stable")[:k]
        return candidates[order], scores[order]

    def shortlist(
        self, user: NDArray[np.float32], size: int, limits: Limits = EVERYTHING, row: int = 0
    ) -> NDArray[np.int64]:
        """The `size` best allowed items by their codes alone, best first; fewer where fewer are allowed. (D,)."""
        barred = len(limits.excluded_of(row))
        if limits.hidden is not None:
            barred += min(int(np.count_nonzero(limits.hidden)), size)
        wanted = size + barred
        while True:
            found = limits.allowed(row, self.scan.nearest(user, wanted))
            if len(found) >= size or wanted >= self.n_items:
                return found[:size]
            wanted *= 4  # more of the best are hidden than there was room for


def write_quantised(folder: Path, codebook: Codebook, shape: tuple[int, int], pieces: Iterator[NDArray[Any]]) -> None:
    """Write codes and halves of the latents, given in pieces, into an empty folder. shape: (I, D)."""
    write_halves(folder / HALVES_FILE, shape, pieces)
    # Codes are made of what was rounded, so that adding an item later gives the same code as building with it.
    rounded = Halves(folder / HALVES_FILE, shape).rows
    codes = (codebook.encode(piece.astype(np.float32)) for piece in chunks(rounded))
    write_rows(folder / CODES_FILE, np.uint8, (shape[0], codebook.code_bytes), codes)
    _write_codebook(folder, codebook)


def write_extended(folder: Path, index: QuantisedIndex, old: Path, more: NDArray[np.float32]) -> None:
    """Write the index that lies in `old`, with more items behind the others, into an empty folder."""
    shape = (index.n_items + len(more), index.width)
    codebook = index.scan.codebook
    rounded = more.astype(np.float16)
    old_codes = map_rows(old / CODES_FILE, np.uint8, (index.n_items, codebook.code_bytes))

    def halves() -> Iterator[NDArray[np.float16]]:
        yield from chunks(index.halves.rows)
        yield from chunks(rounded)

    def codes() -> Iterator[NDArray[np.uint8]]:
        yield from chunks(old_codes)
        yield from (codebook.encode(piece.astype(np.float32)) for piece in chunks(rounded))

    write_halves(folder / HALVES_FILE, shape, halves())
    write_rows(folder / CODES_FILE, np.uint8, (shape[0], codebook.code_bytes), codes())
    _write_codebook(folder, codebook)


def read_quantised(
    folder: Path, shape: tuple[int, int], settings: RetrievalSettings, facts: dict[str, Any]
) -> QuantisedIndex:
    """The index of a folder: codes are read into memory, halves are mapped. Raises ArtefactError."""
    pieces, centroids, size = codebook_shape(shape[1], settings.bytes_per_item)
    flat = map_rows(folder / CENTROIDS_FILE, np.float32, (pieces * centroids, size))
    codebook = Codebook(np.array(flat).reshape(pieces, centroids, size))
    codes = map_rows(folder / CODES_FILE, np.uint8, (shape[0], codebook.code_bytes))
    return QuantisedIndex(CodeScan(codebook, codes), Halves(folder / HALVES_FILE, shape), settings, facts)


def _write_codebook(folder: Path, codebook: Codebook) -> None:
    flat = codebook.centroids.reshape(-1, codebook.centroids.shape[2])
    write_rows(folder / CENTROIDS_FILE, np.float32, flat.shape, [flat])
