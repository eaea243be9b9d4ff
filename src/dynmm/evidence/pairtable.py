"""Sums over ordered item pairs as sorted, compressed rows that never change once made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.ragged import offsets_of, ranges
from dynmm.types import IntArray

#: The columns of every table, in this order.
COLUMNS = ("users", "followed", "first", "later", "after", "before")

_LOW = (1 << 32) - 1
#: Below this share of the larger table, the smaller one is put into it rather than sorted together with it.
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
        lengths = ends - begins
        places, has = ranges(begins, lengths), lengths > 0
        columns = tuple(column[places] for column in self.columns)
        return PairTable(sources[has].astype(np.int32), offsets_of(lengths[has]), self.items[places], columns)

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
    return PairTable(sources[begins].astype(np.int32), starts, items, tuple(_narrow(column) for column in columns))


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
        return _put_into(largest, summed(rest))
    # Runs that are sorted already: a stable sort only merges them.
    keys = np.concatenate([table.keys() for table in tables])
    return grouped(keys, [np.concatenate(parts) for parts in zip(*(table.columns for table in tables), strict=True)])


def grouped(keys: NDArray[np.int64], columns: Sequence[Numbers]) -> PairTable:
    """From keys in any order, among them equal ones, whose columns are added."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    begins = runs(keys)
    if not len(begins):
        return table_of(keys, tuple(_wide(column) for column in columns))
    return table_of(keys[begins], tuple(np.add.reduceat(_wide(column[order]), begins) for column in columns))


def mirrored(forward: PairTable) -> PairTable:
    """From sums over pairs "item after source" to a record for each direction of every pair.

    forward: `before` is 0 throughout, and `users` counts a user in one of the two directions alone. The record of a
    pair of equal items stands for both directions already.
    """
    keys = forward.keys()
    users, followed, first, later, after, _ = forward.columns
    sources, items = keys >> 32, keys & _LOW
    back, zero = (items << 32) | sources, np.zeros_like
    turned = np.argsort(back)
    back, counted = back[turned], np.where(sources == items, 0, _wide(users))[turned]
    columns = (counted, zero(followed), zero(first), zero(later), zero(after), after[turned])
    return summed([forward, table_of(back, columns)])


def runs(ascending: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each run of equal values starts."""
    starts = np.ones(len(ascending), dtype=bool)
    np.not_equal(ascending[1:], ascending[:-1], out=starts[1:])
    return np.flatnonzero(starts)


def _put_into(large: PairTable, small: PairTable) -> PairTable:
    """The sums of two tables, in time that hardly depends on the large one's number of equal pairs."""
    keys, more = large.keys(), small.keys()
    places = np.searchsorted(keys, more)
    known = np.zeros(len(more), dtype=bool)
    inside = places < len(keys)
    known[inside] = keys[places[inside]] == more[inside]
    new = ~known
    kept = np.ones(len(keys) + int(new.sum()), dtype=bool)
    kept[places[new] + np.arange(new.sum())] = False
    met = places[known]

    def joined(ours: Numbers, theirs: Numbers) -> Numbers:
        sums: Numbers = _narrow(_wide(ours[met]) + _wide(theirs[known]))
        result = np.empty(len(kept), dtype=np.result_type(ours, theirs, sums))
        changed = ours.astype(result.dtype)
        changed[met] = sums
        result[kept] = changed
        result[~kept] = theirs[new]
        return result

    every = np.empty(len(kept), dtype=np.int64)
    every[kept], every[~kept] = keys, more[new]
    columns = tuple(joined(ours, theirs) for ours, theirs in zip(large.columns, small.columns, strict=True))
    return table_of(every, columns)


def _wide(column: Numbers) -> Numbers:
    return column if column.dtype == np.float64 else column.astype(np.int64)


def _narrow(column: Numbers) -> Numbers:
    if column.dtype == np.float64:
        return column
    return column.astype(np.min_scalar_type(max(int(column.max(initial=0)), 256)))
