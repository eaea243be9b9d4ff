"""What is read of pair statistics: rows of some items, or the pairs between two lists of items."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.pairtable import Columns, PairTable
from dynmm.evidence.ragged import offsets_of
from dynmm.types import IntArray

#: Items and columns of one source, as they are stored.
Row = tuple[NDArray[np.int32], Columns]


@dataclass(frozen=True, eq=False)
class PairRows:
    """The pairs of S source items, source by source; N records in all.

    offsets: (S + 1,) int64. items: (N,) int32, ascending within a source. users: (N,) int64, distinct users who had
    source and item within the window, in either order. followed: (N,) int64, distinct users who took the item within
    the next few events after the source. first: (N,) float64, how often the item came directly after the source.
    later: sum of 1 / lag over the further transitions. after: sum of lag^-power, the item after the source within
    the window. before: the same with the item before the source. The last four fade where that is asked for.
    """

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    users: NDArray[np.int64]
    followed: NDArray[np.int64]
    first: NDArray[np.float64]
    later: NDArray[np.float64]
    after: NDArray[np.float64]
    before: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def below(self, n_items: int) -> PairRows:
        """Those with the first `n_items` items alone."""
        kept = self.items < n_items
        if kept.all():
            return self
        counts = (self.users[kept], self.followed[kept])
        weights = (self.first[kept], self.later[kept], self.after[kept], self.before[kept])
        return PairRows(offsets_of(kept.astype(np.int64))[self.offsets], self.items[kept], *counts, *weights)


@dataclass(frozen=True, eq=False)
class PairGrid:
    """The pairs from S sources to T targets, each column (S, T); zero where there is no pair. See `PairRows`."""

    users: NDArray[np.int64]
    followed: NDArray[np.int64]
    first: NDArray[np.float64]
    later: NDArray[np.float64]
    after: NDArray[np.float64]
    before: NDArray[np.float64]


def rows_of(rows: Sequence[Row], units: tuple[float, ...]) -> PairRows:
    """Put stored rows together. units: what one stored whole is worth, for first, later, after and before."""
    if not rows:
        none, weight = np.empty(0, dtype=np.int64), np.empty(0)
        return PairRows(offsets_of(none), none.astype(np.int32), none, none, weight, weight, weight, weight)
    items = np.concatenate([items for items, _ in rows])
    users, followed, *weights = (np.concatenate(parts) for parts in zip(*(columns for _, columns in rows), strict=True))
    return PairRows(
        offsets_of(np.array([len(items) for items, _ in rows])),
        items,
        users.astype(np.int64),
        followed.astype(np.int64),
        *(weight * unit for weight, unit in zip(weights, units, strict=True)),
    )


def grid_of(tables: Sequence[PairTable], sources: IntArray, targets: IntArray, units: tuple[float, ...]) -> PairGrid:
    """Look pairs up in several tables, whose sums they are. sources: (S,), targets: (T,), both in any order."""
    distinct, columns = np.unique(targets, return_inverse=True)
    n_cells = len(sources) * len(distinct)
    sums: list[NDArray[Any]] = [np.zeros(n_cells, dtype=np.int64) for _ in range(2)]
    sums += [np.zeros(n_cells) for _ in units]
    for table in tables:
        cells, records = table.find(sources, distinct.astype(np.int32))
        if len(cells):
            for total, column in zip(sums, table.columns, strict=True):
                total[cells] += column[records]
    users, followed, *weights = (total.reshape(len(sources), len(distinct))[:, columns] for total in sums)
    return PairGrid(users, followed, *(weight * unit for weight, unit in zip(weights, units, strict=True)))


class RowCache:
    """Rows that stand in several tables, put together once. Holds so many records, the least lately used leave."""

    def __init__(self, records: int) -> None:
        self._limit = records
        self._held = 0
        self._rows: OrderedDict[int, Row] = OrderedDict()

    def get(self, source: int) -> Row | None:
        """The row, if it is held."""
        row = self._rows.get(source)
        if row is not None:
            self._rows.move_to_end(source)
        return row

    def put(self, source: int, row: Row) -> None:
        """Hold a row, unless it alone is over the limit."""
        self.drop([source])
        if len(row[0]) > self._limit:
            return
        self._rows[source] = row
        self._held += len(row[0])
        while self._held > self._limit:
            _, (items, _) = self._rows.popitem(last=False)
            self._held -= len(items)

    def drop(self, sources: Sequence[int]) -> None:
        """Forget the rows of these sources: they have changed."""
        for source in sources:
            row = self._rows.pop(source, None)
            if row is not None:
                self._held -= len(row[0])

    def advance(self, table: PairTable) -> None:
        """Bring the rows that are held up to date with new sums, which hold a record or more for each source."""
        for place, source in enumerate(table.sources.tolist()):
            row = self._rows.get(source)
            if row is None:
                continue
            start, end = table.starts[place : place + 2].tolist()
            if end - start > 1:
                self.drop([source])
                continue
            items, columns = table.slices(start, end)
            self._rows[source] = _with_one(row, items, columns)
            self._held += len(self._rows[source][0]) - len(row[0])

    def clear(self) -> None:
        """Forget everything."""
        self._rows.clear()
        self._held = 0

    def __contains__(self, source: object) -> bool:
        return source in self._rows

    @property
    def nbytes(self) -> int:
        """Bytes of the rows that are held."""
        return sum(items.nbytes + sum(column.nbytes for column in columns) for items, columns in self._rows.values())


def _with_one(row: Row, item: NDArray[np.int32], values: Columns) -> Row:
    """A held row with one more record, in place where the row has the item already. item, values: (1,) each."""
    items, columns = row
    place = int(np.searchsorted(items, item[0]))
    if place < len(items) and items[place] == item[0]:
        return items, tuple(_plus(column, place, value) for column, value in zip(columns, values, strict=True))

    def put(column: NDArray[Any], value: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([column[:place], value, column[place:]])

    return put(items, item), tuple(put(column, value) for column, value in zip(columns, values, strict=True))


def _plus(column: NDArray[Any], place: int, value: NDArray[Any]) -> NDArray[Any]:
    total = column[place].item() + value[0].item()
    if column.dtype != np.float64 and total > np.iinfo(column.dtype).max:
        column = column.astype(np.uint64)
    column[place] = total
    return column
