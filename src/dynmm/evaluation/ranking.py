"""One system over many cases, chunk by chunk: queries are made when they are needed, lists are not kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynmm.evaluation.metrics import CUTOFFS, Targets, metric_names, per_case
from dynmm.interactions.cases import Cases
from dynmm.system import Query, System
from dynmm.types import BoolArray, FloatArray, IntArray

#: Lists are asked to this depth, so ranks up to 20 are exact even where scores tie, and MRR reaches this far.
DEPTH = 100

#: So many queries are held at once.
CHUNK = 2_048

#: Called with (cases done, cases in all) after each chunk.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Pool:
    """What may be ranked in each case, given n_items in the catalogue.

    rows: (B, C) each case's own candidates, or None. shared: (C,) one list for all cases, or None. With
    neither it is the whole catalogue. exclude_history: the user's history must not come back.
    """

    n_items: int
    rows: IntArray | None = None
    shared: IntArray | None = None
    exclude_history: bool = True

    def query(self, cases: Cases, case: int) -> Query:
        """The question of one case."""
        listed = self.shared if self.rows is None else self.rows[case]
        return cases.query(case, listed, exclude_history=self.exclude_history)

    def complete(self, queries: Sequence[Query], depth: int) -> NDArray[np.bool_]:
        """(b,) True where `depth` ranks hold every candidate of the query."""
        return np.fromiter((self._fits(query, depth) for query in queries), np.bool_, len(queries))

    def _fits(self, query: Query, depth: int) -> bool:
        allowed = self.n_items if query.candidates is None else len(query.candidates)
        if allowed <= depth:
            return True
        if allowed - len(query.exclude) > depth:
            return False
        excluded = np.unique(query.exclude)
        if query.candidates is not None:
            excluded = np.intersect1d(excluded, query.candidates)
        return allowed - len(excluded) <= depth


def measure(
    system: System,
    cases: Cases,
    pool: Pool,
    *,
    cutoffs: Sequence[int] = CUTOFFS,
    depth: int = DEPTH,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> dict[str, FloatArray]:
    """Every metric of every case: name -> (B,) float64. Memory is that of one chunk.

    Raises ValueError where a system returns lists of the wrong shape or order, FloatingPointError for NaN.
    """
    depth = max(depth, *cutoffs)
    parts = []
    for start in range(0, len(cases), chunk):
        stop = min(start + chunk, len(cases))
        queries = [pool.query(cases, case) for case in range(start, stop)]
        rankings = system.rank(queries, depth)
        targets = Targets.of(cases.target_items, cases.target_offsets[start : stop + 1])
        parts.append(per_case(rankings, targets, complete=pool.complete(queries, depth), cutoffs=cutoffs))
        if progress is not None:
            progress(stop, len(cases))
    return {name: _joined([part[name] for part in parts]) for name in metric_names(cutoffs)}


def _joined(parts: Sequence[FloatArray]) -> FloatArray:
    return np.concatenate(parts) if parts else np.empty(0)


def chosen(cases: Cases, rows: BoolArray) -> Cases:
    """The cases where `rows`, a (B,) mask, is set."""
    picked = np.flatnonzero(rows)
    history_rows, history_offsets = _ragged_take(cases.history_offsets, picked)
    target_rows, target_offsets = _ragged_take(cases.target_offsets, picked)
    return Cases(
        cases.users[picked],
        cases.history_items[history_rows],
        history_offsets,
        cases.target_items[target_rows],
        target_offsets,
        None if cases.history_times is None else cases.history_times[history_rows],
        None if cases.as_of is None else cases.as_of[picked],
    )


def _ragged_take(offsets: IntArray, picked: IntArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers of the picked cases' parts laid end to end, and their offsets."""
    sizes = np.diff(offsets)[picked]
    ends = np.cumsum(sizes)
    new_offsets = np.concatenate([[0], ends]).astype(np.int64)
    total = int(ends[-1]) if len(ends) else 0
    rows = np.arange(total) + np.repeat(offsets[:-1][picked] - new_offsets[:-1], sizes)
    return rows.astype(np.int64), new_offsets
