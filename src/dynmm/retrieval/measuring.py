"""How much of the exact answer a quantised index finds: measured when it is built."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dynmm.randomness import generator
from dynmm.retrieval.exact import ExactIndex
from dynmm.retrieval.quantised import QuantisedIndex
from dynmm.types import IntArray

#: Recall is measured at this depth, or at the size of a smaller catalogue.
DEPTH = 100


def sample_queries(vectors: NDArray[np.float32], n: int, seed: int) -> NDArray[np.float32]:
    """n made-up users: what three items have in common, and noise of half that length. (I, D) -> (n, D)."""
    n_items, width = vectors.shape
    random = generator(seed, "index", "queries")
    if n_items == 0:
        return np.empty((0, width), dtype=np.float32)
    chosen = random.integers(0, n_items, (n, 3))
    taste = vectors[chosen.ravel()].reshape(n, 3, width).mean(axis=1)
    noise = random.standard_normal((n, width), dtype=np.float32)
    scale = np.linalg.norm(taste, axis=1, keepdims=True) / np.linalg.norm(noise, axis=1, keepdims=True)
    users: NDArray[np.float32] = taste + np.float32(0.5) * scale * noise
    return users


def recall_facts(
    index: QuantisedIndex, vectors: NDArray[np.float32], queries: NDArray[np.float32]
) -> dict[str, float | int]:
    """Share of the exact best `DEPTH` items that the index returns, with and without re-ranking.

    vectors: (I, D) as they were before any rounding. queries: (Q, D).
    """
    depth = min(DEPTH, index.n_items)
    truth = ExactIndex(vectors).search(queries, depth).items
    reranked = list(index.search(queries, depth).items)
    by_code = [index.shortlist(query, depth) for query in queries]
    return {
        "recall_depth": depth,
        "recall_queries": len(queries),
        "recall": mean_overlap(truth, reranked),
        "recall_without_reranking": mean_overlap(truth, by_code),
    }


def mean_overlap(truth: IntArray, found: Sequence[IntArray]) -> float:
    """Mean share of each row of `truth` that stands in `found`, 1 where there is nothing to find. (Q, k)."""
    if truth.size == 0:
        return 1.0
    return float(np.mean([np.isin(row, other).mean() for row, other in zip(truth, found, strict=True)]))
