"""Sequential item-kNN: decayed cosine over co-occurrence, with transitions of up to three steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from pydantic import Field

from dynmm.baselines.pairs import PairSettings, damped, pair_rows, weighted_history
from dynmm.interactions.dataset import Dataset
from dynmm.system import Query, Rankings
from dynmm.topk import rank_in_blocks
from dynmm.types import Events


class ItemKNNSettings(PairSettings):
    """Sequential item-kNN."""

    neighbours: int = Field(500, ge=1, description="candidates kept for each history item: bounds the memory")


class ItemKNN:
    """Candidates by their similarity to the history, the newest items weighing most.

    The similarity is the pair statistic of `pairs`, divided by powers of both items' counts: a cosine where
    both powers are 1/2. Candidates that no history item points to follow in order of popularity.
    """

    name = "item-knn"
    settings_type: ClassVar[type[ItemKNNSettings]] = ItemKNNSettings
    learns_online: ClassVar[bool] = False

    def __init__(self, settings: ItemKNNSettings | None = None) -> None:
        self.settings = settings or ItemKNNSettings()
        self._similarity = sp.csr_matrix(np.zeros((0, 0), dtype=np.float32))
        self._prior = np.zeros(0, dtype=np.float32)
        self._ordered = True

    def fit(self, dataset: Dataset) -> None:
        """Count all pairs, normalise them, and keep each item's strongest neighbours."""
        counts = dataset.item_counts().astype(np.float64)
        source = damped(counts, self.settings.source_power)
        target = damped(counts, self.settings.target_power)
        self._ordered = dataset.has_order
        self._prior = (self.settings.popularity * counts / max(1.0, counts.max(initial=0.0))).astype(np.float32)
        blocks = []
        for first, pairs in pair_rows(dataset, self.settings):
            rows = sp.diags(source[first : first + pairs.shape[0]]) @ pairs @ sp.diags(target)
            blocks.append(pruned(sp.csr_matrix(rows, dtype=np.float32), self.settings.neighbours))
        self._similarity = sp.csr_matrix(sp.vstack(blocks, format="csr"))

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """See `System.rank`."""
        return rank_in_blocks(self._score, queries, k, len(self._prior))

    def learn(self, events: Events) -> None:
        """Learns nothing: `online-item-knn` does."""

    def _score(self, queries: Sequence[Query]) -> torch.Tensor:
        similar = self._recent(queries) @ self._similarity
        return torch.from_numpy(similar.toarray() + self._prior)

    def _recent(self, queries: Sequence[Query]) -> sp.csr_matrix:
        """(B, I) weights of the newest items of each history."""
        recent = [weighted_history(query.history.items, self.settings, ordered=self._ordered) for query in queries]
        rows = np.repeat(np.arange(len(queries)), [len(items) for items, _ in recent])
        columns = np.concatenate([items for items, _ in recent])
        values = np.concatenate([weights for _, weights in recent]).astype(np.float32)
        return sp.csr_matrix((values, (rows, columns)), shape=(len(queries), len(self._prior)))


def pruned(matrix: sp.csr_matrix, keep: int) -> sp.csr_matrix:
    """The `keep` largest entries of each row; equal ones by column number."""
    lengths = np.diff(matrix.indptr)
    kept = np.ones(matrix.nnz, dtype=bool)
    for row in np.flatnonzero(lengths > keep):
        span = slice(matrix.indptr[row], matrix.indptr[row + 1])
        kept[span] = _largest(matrix.data[span], matrix.indices[span], keep)
    starts = np.concatenate([[0], np.cumsum(np.minimum(lengths, keep))])
    return sp.csr_matrix((matrix.data[kept], matrix.indices[kept], starts), shape=matrix.shape)


def _largest(values: NDArray[np.float32], columns: NDArray[np.int32], keep: int) -> NDArray[np.bool_]:
    chosen = np.zeros(len(values), dtype=bool)
    chosen[np.lexsort((columns, -values))[:keep]] = True
    return chosen
