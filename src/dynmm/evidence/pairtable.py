"""Sums over ordered item pairs as sorted, compressed rows that never change once made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.ascending import runs, starts_of_runs
from dynmm.evidence.ragged import offsets_of
from dynmm.types import IntArray

#: The columns of every table, in this order.
COLUMNS = ("users", "followed", "first", "later", "after", "before")

_LOW = (1 << 32) - 1
#: Below this share of the largest table, the others are put into it rather than sorted together with it.
_FEW = 0.5
#: Tables up to this length are sorted together in any case.
_SMALL = 10_000

#: Whole numbers, or float64.
Numbers = NDArray[Any]
Columns = tuple[Numbers, ...]


@dataclass(frozen=True, eq=False)
class PairTable:
    """R sources with N pairs in all. Columns are whole numbers, or float64 where they fade.

    sources: (R,) int32 ascending, those that have pairs. starts: (R + 1,) int64, where each row starts. items: (N,)
    int32, ascending within a row. columns: (N,) each, see `COLUMNS`.
    """

    sources: NDArray[np.int32]
    starts: NDArray[np.int64]
    items: NDArray[np.int32]
    columns: Columns

    def __len__(self) -> int:
        return len(self.items)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        parts: tuple[Numbers, ...] = (self.sources, self.starts, self.items, *self.columns)
        return sum(part.nbytes for part in parts)

    def keys(self) -> NDArray[np.int64]:
        """(N,) source * 2^32 + item, ascending."""
        return np.repeat(self.sources.astype(np.int64) << 32, np.diff(self.starts)) | self.items

    def spans(self, sources: IntArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the row of each source starts and ends, (S,) each; both equal where it has none."""
        if not len(self.sources):
            none = np.zeros(len(sources), dtype=np.int64)
            return none, none
        places = np.minimum(np.searchsorted(self.sources, sources), len(self.sources) - 1)
        known = self.sources[places] == sources
        return np.where(known, self.starts[places], 0), np.where(known, self.starts[places + 1], 0)

    def part(self, sources: IntArray) -> PairTable:
        """The rows of these sources alone. sources: (S,) ascending and distinct."""
        begins, ends = self.spans(sources)
        has = ends > begins
        if not has.any():
            return PairTable(self.sources[:0], self.starts[:1], *self.slices(0, 0))
        rows = [slice(begin, end) for begin, end in zip(begins[has].tolist(), ends[has].tolist(), strict=True)]
        columns = tuple(np.concatenate([column[row] for row in rows]) for column in self.columns)
        items = np.concatenate([self.items[row] for row in rows])
        return PairTable(sources[has].astype(np.int32), offsets_of((ends - begins)[has]), items, columns)

    def find(self, sources: IntArray, targets: IntArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which of S x T pairs there are, as places in the flat (S, T), and their records. targets: (T,) ascending."""
        begins, ends = self.spans(sources)
        has = np.flatnonzero(ends > begins)
        if not len(has):
            return has, has
        begins, ends = begins[has], ends[has]
        near = np.empty((len(has), len(targets)), dtype=np.int64)
        for place, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
            near[place] = self.items[begin:end].searchsorted(targets)
        # Behind the row's end there is none; its last record is as good as any to find that.
        near = np.minimum(near + begins[:, None], ends[:, None] - 1)
        met = np.flatnonzero(self.items[near] == targets)
        return (has[:, None] * len(targets) + np.arange(len(targets))).ravel()[met], near.ravel()[met]

    def slices(self, start: int, end: int) -> tuple[NDArray[np.int32], Columns]:
        """Items and columns of the records start..end-1, without a copy."""
        return self.items[start:end], tuple(column[start:end] for column in self.columns)

    def scaled(self, power: int) -> PairTable:
        """The same with all fading columns times 2^power."""
        columns = tuple(np.ldexp(column, power) if column.dtype == np.float64 else column for column in self.columns)
        return PairTable(self.sources, self.starts, self.items, columns)


def table_of(keys: NDArray[np.int64], columns: Columns) -> PairTable:
    """From distinct ascending keys and their columns; whole numbers are kept as narrow as they allow."""
    sources, items = keys >> 32, (keys & _LOW).astype(np.int32)
    begins = runs(sources)
    starts = np.append(begins, len(keys))
    return PairTable(sources[begins].astype(np.int32), starts, items, tuple(narrowed(column) for column in columns))


def no_pairs(*, fading: bool) -> PairTable:
    """A table without a pair."""
    none = np.empty(0, dtype=np.int64)
    weight = none.astype(np.float64) if fading else none
    return table_of(none, (none, none, weight, weight, weight, weight))


def summed(tables: Sequence[PairTable]) -> PairTable:
    """The sums of at least one table. Whole numbers do not depend on the order; fading weights do, to rounding."""
    *rest, largest = sorted(tables, key=len)
    if not rest:
        return largest
    if sum(map(len, rest)) <= _FEW * len(largest) and len(largest) > _SMALL:
        tables = [largest, summed(rest)]
        keys, places = _inserted(largest.keys(), tables[1].keys())
    else:
        keys, places = _united([table.keys() for table in tables])
    columns = zip(*(table.columns for table in tables), strict=True)
    return table_of(keys, tuple(_added(parts, places, len(keys)) for parts in columns))


def grouped(keys: NDArray[np.int64], columns: Sequence[Numbers]) -> PairTable:
    """From keys in any order, among them equal ones, whose columns are added."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    begins = runs(keys)
    if not len(begins):
        return table_of(keys, tuple(columns))
    return table_of(keys[begins], tuple(np.add.reduceat(column[order], begins) for column in columns))


def mirrored(forward: PairTable) -> PairTable:
    """From sums over pairs "item after source" to a record for each direction of every pair.

    forward: `before` is 0 throughout, and `users` counts a user in one of the two directions alone. The record of a
    pair of equal items stands for both directions already.
    """
    keys = forward.keys()
    users, followed, first, later, after, _ = forward.columns
    back = (keys & _LOW) << 32 | keys >> 32
    turned = np.argsort(back)
    once = np.where(keys == back, 0, users)[turned]
    every, (ahead, behind) = _united([keys, back[turned]])
    n = len(every)
    columns = (
        _added([users, once], [ahead, behind], n),
        *(_added([column], [ahead], n) for column in (followed, first, later, after)),
        _added([after[turned]], [behind], n),
    )
    return table_of(every, columns)


def narrowed(column: Numbers) -> Numbers:
    """Whole numbers in two, four or eight bytes, as the largest of them needs; others as they are."""
    return column if column.dtype == np.float64 else column.astype(_width(int(column.max(initial=0))), copy=False)


def _width(largest: int) -> np.dtype[Any]:
    return np.min_scalar_type(max(largest, 256))


_Places = list[NDArray[np.int64]]


def _united(parts: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], _Places]:
    """Distinct keys of several ascending parts, and where those of each part stand among them."""
    keys = np.concatenate(parts)
    # Runs that are sorted already: a stable sort only merges them.
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = starts_of_runs(keys)
    places = np.empty(len(keys), dtype=np.int64)
    places[order] = np.cumsum(starts) - 1
    return keys[starts], np.split(places, np.cumsum([len(part) for part in parts[:-1]]))


def _inserted(large: NDArray[np.int64], small: NDArray[np.int64]) -> tuple[NDArray[np.int64], _Places]:
    """The same for two parts, without sorting the large one again."""
    met = np.searchsorted(large, small)
    known = met < len(large)
    known[known] = large[met[known]] == small[known]
    new = ~known
    places = met + np.cumsum(new) - new
    kept = np.ones(len(large) + int(new.sum()), dtype=bool)
    kept[places[new]] = False
    ours = np.flatnonzero(kept)
    keys = np.empty(len(kept), dtype=np.int64)
    keys[ours], keys[places[new]] = large, small[new]
    return keys, [ours, places]


def _added(parts: Sequence[Numbers], places: _Places, n: int) -> Numbers:
    """(n,) the sum of parts that each stand at their own distinct places."""
    if any(part.dtype == np.float64 for part in parts):
        total: Numbers = np.zeros(n)
    else:
        # No sum is larger than this one, so none overflows.
        total = np.zeros(n, dtype=_width(sum(int(part.max(initial=0)) for part in parts)))
    total[places[0]] = parts[0]
    for part, at in zip(parts[1:], places[1:], strict=True):
        total[at] += part.astype(total.dtype, copy=False)
    return total
