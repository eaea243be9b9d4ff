"""Hit, Recall, NDCG and MRR of each case, from rankings and targets. Ties count against the model.

Shapes: B cases, k ranks, T targets of all cases laid end to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynmm.system import Rankings
from dynmm.types import BoolArray, FloatArray, IntArray

CUTOFFS = (5, 10, 20)

#: Stands for "not found" in arrays of ranks.
NOT_FOUND = 0

#: Targets are compared with their lists in blocks of this many cells, so memory stays flat.
_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class Targets:
    """The distinct right answers of B cases. rows: (T,) the case of each, ascending. items: (T,)."""

    rows: NDArray[np.int64]
    items: NDArray[np.int32]
    n_cases: int

    @classmethod
    def of(cls, items: IntArray, offsets: IntArray) -> Targets:
        """From ragged arrays: case b has `items[offsets[b]:offsets[b+1]]`. An item that comes twice counts once.

        Raises ValueError where a case has no target, since nothing can be said about it.
        """
        sizes = np.diff(offsets)
        if len(sizes) and sizes.min() < 1:
            raise ValueError(f"case {int(np.argmin(sizes))} has no target; leave such cases out before measuring")
        rows = np.repeat(np.arange(len(sizes)), sizes)
        wanted = items[offsets[0] : offsets[-1]] if len(offsets) else items[:0]
        if len(rows) > len(sizes):
            pairs = np.unique(np.stack([rows, wanted.astype(np.int64)], axis=1), axis=0)
            rows, wanted = pairs[:, 0], pairs[:, 1]
        return cls(rows.astype(np.int64), wanted.astype(np.int32), len(sizes))

    def sizes(self) -> NDArray[np.int64]:
        """(B,) number of distinct targets of each case."""
        return np.bincount(self.rows, minlength=self.n_cases)


def metric_names(cutoffs: Sequence[int] = CUTOFFS) -> list[str]:
    """The names in the order of every table: hit, recall, ndcg at each cutoff, then mrr."""
    return [f"{kind}@{cutoff}" for kind in ("hit", "recall", "ndcg") for cutoff in cutoffs] + ["mrr"]


def per_case(
    rankings: Rankings, targets: Targets, *, complete: BoolArray | None = None, cutoffs: Sequence[int] = CUTOFFS
) -> dict[str, FloatArray]:
    """Every metric of every case: name -> (B,) float64.

    complete: (B,) True where the list is known to hold every candidate; a row that ends in padding is
    complete in any case. Recall divides by the number of targets, NDCG by the best DCG that
    min(targets, cutoff) hits can have, MRR is the reciprocal of the best target's rank and zero where no
    target is within the list (Jarvelin & Kekalainen 2002 for DCG, binary gains, log2 discount).
    """
    ranks = pessimistic_ranks(rankings, targets, complete)
    sizes, n_cases = targets.sizes(), targets.n_cases
    found = ranks != NOT_FOUND
    values: dict[str, FloatArray] = {}
    for cutoff in cutoffs:
        inside = found & (ranks <= cutoff)
        hits = np.bincount(targets.rows[inside], minlength=n_cases)
        gains = 1.0 / np.log2(ranks[inside] + 1.0)
        dcg = np.bincount(targets.rows[inside], weights=gains, minlength=n_cases)
        values[f"hit@{cutoff}"] = (hits > 0).astype(np.float64)
        values[f"recall@{cutoff}"] = hits / np.maximum(sizes, 1)
        values[f"ndcg@{cutoff}"] = dcg / _ideal_dcg(np.minimum(sizes, cutoff))
    reciprocal = np.zeros(n_cases)
    np.maximum.at(reciprocal, targets.rows[found], 1.0 / ranks[found])
    values["mrr"] = reciprocal
    return {name: values[name] for name in metric_names(cutoffs)}


def pessimistic_ranks(rankings: Rankings, targets: Targets, complete: BoolArray | None = None) -> NDArray[np.int64]:
    """(T,) the rank of each target from 1, or `NOT_FOUND`.

    Equal scores are read in the worst order for the model: everything else with that score first, then the
    targets. So a target's rank is the number of items that score at least as much as it; only targets of one
    case that tie with one another still take different places. A tie that reaches the end of an incomplete
    list could go on behind it, so its targets are not found.
    """
    _check(rankings, targets)
    depth = rankings.items.shape[1]
    whole = np.zeros(len(rankings), dtype=np.bool_) if complete is None else complete.copy()
    if depth:
        whole |= rankings.items[:, -1] < 0
    ends = np.zeros(len(targets.rows), dtype=np.int64)
    step = max(1, _BLOCK_CELLS // max(1, depth))
    for start in range(0, len(ends), step):
        part = slice(start, start + step)
        ends[part] = _tie_ends(rankings, targets.rows[part], targets.items[part])
    ends[(ends == depth) & ~whole[targets.rows]] = NOT_FOUND
    return _apart_within_ties(ends, targets.rows)


def _tie_ends(rankings: Rankings, rows: IntArray, items: IntArray) -> NDArray[np.int64]:
    """(t,) how many items of the list score at least as much as the target; `NOT_FOUND` where it is absent."""
    same = rankings.items[rows] == items[:, None]
    found = np.flatnonzero(same.any(axis=1))
    ends = np.full(len(rows), NOT_FOUND, dtype=np.int64)
    places = same[found].argmax(axis=1)
    lists = rankings.scores[rows[found]]
    own = np.take_along_axis(lists, places[:, None], axis=1)
    ends[found] = (lists >= own).sum(axis=1)
    return ends


def _apart_within_ties(ends: NDArray[np.int64], rows: IntArray) -> NDArray[np.int64]:
    """Targets of one case that share a tie take its last places, one each."""
    if len(rows) < 2 or not (rows[1:] == rows[:-1]).any():
        return ends
    order = np.lexsort((ends, rows))
    sorted_ends, sorted_rows = ends[order], rows[order]
    last = np.append((sorted_ends[1:] != sorted_ends[:-1]) | (sorted_rows[1:] != sorted_rows[:-1]), True)
    group_last = np.flatnonzero(last)[np.cumsum(last) - last]
    ranks = np.empty_like(ends)
    ranks[order] = np.where(sorted_ends == NOT_FOUND, NOT_FOUND, sorted_ends - (group_last - np.arange(len(ends))))
    return ranks


def _ideal_dcg(hits: NDArray[np.int64]) -> NDArray[np.float64]:
    gains = 1.0 / np.log2(np.arange(2, max(2, int(hits.max(initial=1)) + 2)))
    table = np.concatenate([[1.0], np.cumsum(gains)])
    return np.asarray(table[hits], dtype=np.float64)


def _check(rankings: Rankings, targets: Targets) -> None:
    """A wrong list would be scored as a good one, so it is refused before anything is measured."""
    items, scores = rankings.items, rankings.scores
    if items.shape != scores.shape or len(items) != targets.n_cases:
        raise ValueError(
            f"rankings of shape {items.shape} and {scores.shape} for {targets.n_cases} cases: "
            "`rank` returns items and scores of shape (queries, k)"
        )
    if np.isnan(scores).any():
        raise FloatingPointError("a system returned NaN scores; nothing can be ranked by them")
    if (scores[:, 1:] > scores[:, :-1]).any():
        row = int(np.flatnonzero((scores[:, 1:] > scores[:, :-1]).any(axis=1))[0])
        raise ValueError(f"the scores of row {row} increase; `rank` returns the best item first")
