"""Latents in clusters, as fitted ones lie, and users among them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.randomness import generator
from dynmm.retrieval.requests import Limits


def clustered(n: int, width: int, seed: int = 0, *, clusters: int = 40) -> NDArray[np.float32]:
    """(n, width) float32 of unit length."""
    random = generator(seed, "clouds")
    centres = random.standard_normal((clusters, width))
    rows = centres[random.integers(0, clusters, n)] + 0.6 * random.standard_normal((n, width))
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def tastes(items: NDArray[np.float32], n: int, seed: int = 1) -> NDArray[np.float32]:
    """(n, D): what two items have in common, and some noise."""
    random = generator(seed, "tastes")
    chosen = items[random.integers(0, len(items), (n, 2))].mean(axis=1)
    noise = random.standard_normal(chosen.shape) / np.sqrt(chosen.shape[1])
    users: NDArray[np.float32] = (chosen + 0.3 * noise).astype(np.float32)
    return users


def plain_best(
    scores: NDArray[np.float32], k: int, limits: Limits, row: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The answer by a plain sort of all scores. (I,) -> up to k items and their scores."""
    candidates = limits.candidates_of(row)
    allowed = limits.allowed(row, np.arange(len(scores)) if candidates is None else candidates)
    order = allowed[np.lexsort((allowed, -scores[allowed]))][:k]
    return order, scores[order]
