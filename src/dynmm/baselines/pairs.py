"""Pair statistics of item-kNN: how strongly one item of a user's history points to another.

An event at place t of a user's history meets the W events before it, at lags d = 1..W. With j at place t - d
and i at place t, i.e. "i followed j d steps later":

    A[j, i] += d^-p  +  tau / d  where d <= steps       (co-occurrence, and the transition)
    A[i, j] += backward * d^-p                           (co-occurrence, seen from the later item)

so that each event changes at most 2 W entries: the same sums can be taken over a whole data set at once, or
event by event. Where the data has no order at all, every pair within W places counts 1 in both directions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from dynmm.configuration import Settings
from dynmm.interactions.dataset import Dataset
from dynmm.types import IntArray

#: Pairs that are summed at a time: some 1.5 GB at the peak, whatever the size of the data.
BLOCK_PAIRS = 32_000_000

#: Pairs that are turned into a sparse matrix at a time: each such matrix is added to the sum so far.
_GATHERED = 4_000_000

#: Cells of a block, numbered row by row, that each get the same weight.
_Pairs = tuple[NDArray[np.int64], float]

#: A history item of less weight than this changes no ranking worth the time.
FAINT = 1e-3


class PairSettings(Settings):
    """What item-kNN counts, and how it weighs it."""

    window: int = Field(50, ge=1, description="an event pairs with this many earlier events of its user")
    distance_power: float = Field(0.5, ge=0, description="a pair d steps apart counts d^-distance_power")
    backward: float = Field(0.4, ge=0, description="weight of a pair when pointing from the later to the earlier item")
    transition: float = Field(0.5, ge=0, description="further weight of a direct transition, divided by its steps")
    transition_steps: int = Field(3, ge=0, description="up to how many steps count as a transition")
    source_power: float = Field(0.5, ge=0, description="a pair is divided by count(history item)^source_power")
    target_power: float = Field(0.2, ge=0, description="a pair is divided by count(candidate)^target_power")
    recency: float = Field(0.7, gt=0, le=1, description="weight of a history item against the one that came after it")
    popularity: float = Field(0.01, ge=0, description="weight of a candidate's count, as a share of the highest")


def lag_weights(settings: PairSettings, *, ordered: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Forward and backward weight of a pair by its lag, (W,) each; the first is lag 1."""
    lags = np.arange(1, settings.window + 1, dtype=np.float64)
    if not ordered:
        return np.ones_like(lags), np.ones_like(lags)
    near = lags**-settings.distance_power
    transition = np.where(lags <= settings.transition_steps, settings.transition / lags, 0.0)
    return near + transition, settings.backward * near


def weighted_history(
    items: IntArray, settings: PairSettings, *, ordered: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The end of a history that carries weight, oldest first, and its weights; all 1 where there is no order.

    items: (L,). Items older than the window, or that weigh less than `FAINT` of the newest, are left out.
    """
    recent = np.asarray(items[-settings.window :], dtype=np.int64)
    if not ordered:
        return recent, np.ones(len(recent))
    weights = settings.recency ** np.arange(len(recent) - 1, -1, -1, dtype=np.float64)
    loud = weights >= FAINT
    return recent[loud], weights[loud]


def pair_rows(
    dataset: Dataset, settings: PairSettings, *, block_pairs: int = BLOCK_PAIRS
) -> Iterator[tuple[int, sp.csr_matrix]]:
    """A in blocks of rows: yields (first row, (rows, I) float64 sparse), in order.

    Only some `block_pairs` pairs are held at a time, so memory is bounded however long the histories are.
    """
    n_items = dataset.n_items
    for block in _row_blocks(dataset, settings.window, block_pairs):
        pairs = _pairs_into(block, dataset, settings)
        cells = (block.last - block.first) * n_items
        summed = _summed_dense if cells <= min(block.load, block_pairs) else _summed_sparse
        total = summed(pairs, (block.last - block.first, n_items))
        yield block.first, total


@dataclass(frozen=True)
class _RowBlock:
    """Rows first..last-1, which meet `load` pairs."""

    first: int
    last: int
    load: float


def _row_blocks(dataset: Dataset, window: int, block_pairs: int) -> Iterator[_RowBlock]:
    """Blocks that each meet at most `block_pairs` pairs, unless a single row meets more."""
    lengths = np.diff(dataset.offsets)
    rows = np.arange(len(dataset.events))
    before = rows - np.repeat(dataset.offsets[:-1], lengths)
    behind = np.repeat(dataset.offsets[1:], lengths) - 1 - rows
    met = np.minimum(before, window) + np.minimum(behind, window)
    load = np.bincount(dataset.events.items, weights=met, minlength=dataset.n_items)
    block = np.cumsum(load) // block_pairs
    bounds = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), dataset.n_items]
    for first, last in itertools.pairwise(bounds):
        yield _RowBlock(first, last, float(load[first:last].sum()))


def _pairs_into(block: _RowBlock, dataset: Dataset, settings: PairSettings) -> Iterator[_Pairs]:
    """Lag by lag and in both directions: cells of the block, row by row, and the weight of a pair."""
    users, items = dataset.events.users, np.asarray(dataset.events.items, dtype=np.int64)
    forward, backward = lag_weights(settings, ordered=dataset.has_order)
    for lag in range(1, settings.window + 1):
        same = users[lag:] == users[:-lag]
        if not same.any():
            return
        earlier, later = items[:-lag][same], items[lag:][same]
        for source, target, weight in ((earlier, later, forward[lag - 1]), (later, earlier, backward[lag - 1])):
            here = (source >= block.first) & (source < block.last)
            yield (source[here] - block.first) * dataset.n_items + target[here], float(weight)


def _summed_dense(pairs: Iterator[_Pairs], shape: tuple[int, int]) -> sp.csr_matrix:
    """For blocks with more pairs than cells."""
    total = np.zeros(shape[0] * shape[1])
    for places, weight in pairs:
        np.add.at(total, places, weight)
    return sp.csr_matrix(total.reshape(shape))


def _summed_sparse(pairs: Iterator[_Pairs], shape: tuple[int, int]) -> sp.csr_matrix:
    """For blocks that stay mostly empty: some pairs are gathered, and then added all together."""
    total = sp.csr_matrix(shape)
    gathered: list[_Pairs] = []
    for places, weight in pairs:
        gathered.append((places, weight))
        if sum(len(places) for places, _ in gathered) >= _GATHERED:
            total, gathered = total + _compressed(gathered, shape), []
    return sp.csr_matrix(total + _compressed(gathered, shape))


def _compressed(gathered: list[_Pairs], shape: tuple[int, int]) -> sp.csr_matrix:
    places = np.concatenate([np.empty(0, np.int64), *(places for places, _ in gathered)])
    weights = np.repeat([weight for _, weight in gathered], [len(places) for places, _ in gathered])
    return sp.csr_matrix((weights, np.divmod(places, shape[1])), shape=shape)


def damped(counts: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """(I,) max(count, 1)^-power."""
    return np.asarray(np.maximum(counts, 1.0) ** -power)
