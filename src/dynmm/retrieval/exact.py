"""Exact search: every item is scored. A few milliseconds for one user up to some 50,000 items."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dynmm.retrieval.requests import EVERYTHING, Limits, checked_users
from dynmm.retrieval.rowfiles import chunks, map_rows, write_rows
from dynmm.retrieval.settings import Kind
from dynmm.system import Query, Rankings
from dynmm.topk import rank_by_vectors
from dynmm.types import UserHistory

VECTORS_FILE = "vectors.npy"
_NOBODY = UserHistory()


class ExactIndex:
    """Compares users with all latents in float32. An `ItemIndex`."""

    kind: Kind = "exact"

    def __init__(self, vectors: NDArray[np.float32], facts: dict[str, Any] | None = None) -> None:
        """vectors: (I, D) float32, kept as they are, not copied."""
        self.vectors = vectors
        self.facts = facts or exact_facts(vectors)

    @property
    def n_items(self) -> int:
        return len(self.vectors)

    @property
    def width(self) -> int:
        return int(self.vectors.shape[1])

    def search(self, users: NDArray[np.float32], k: int, limits: Limits = EVERYTHING) -> Rankings:
        """See `ItemIndex.search`."""
        rows = checked_users(users, self.width)
        queries = [_query(limits, row) for row in range(len(rows))]
        return rank_by_vectors(torch.from_numpy(rows), torch.from_numpy(self.vectors), queries, k)


def _query(limits: Limits, row: int) -> Query:
    barred = limits.excluded_of(row)
    if limits.hidden is not None:
        barred = np.concatenate([barred, np.flatnonzero(limits.hidden)])
    return Query(_NOBODY, candidates=limits.candidates_of(row), exclude=barred)


def exact_facts(vectors: NDArray[np.float32]) -> dict[str, Any]:
    """What the manifest says of an exact index; there is no recall to measure."""
    n_items, width = vectors.shape
    return {
        "kind": "exact",
        "items": n_items,
        "width": width,
        "bytes_per_item": 4 * width,
        "memory_bytes": vectors.nbytes,
    }


def write_exact(folder: Path, shape: tuple[int, int], pieces: Iterator[NDArray[np.float32]]) -> None:
    """Write the latents into an empty folder. shape: (I, D)."""
    write_rows(folder / VECTORS_FILE, np.float32, shape, pieces)


def read_exact(folder: Path, shape: tuple[int, int], facts: dict[str, Any]) -> ExactIndex:
    """The index over the latents of a folder, mapped. Raises ArtefactError."""
    return ExactIndex(map_rows(folder / VECTORS_FILE, np.float32, shape), facts)


def exact_pieces(index: ExactIndex, more: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """The index's latents and more behind them, in pieces."""
    yield from chunks(index.vectors)
    yield from chunks(more)
