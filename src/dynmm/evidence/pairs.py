"""Who took what after what: sums over ordered item pairs, which every event advances.

The sums stand in a few sorted tables, each at least some times as large as the next, and the newest events wait in
a tail. A table never changes: the tail becomes a small table when it is read or has grown long, and small tables are
put into larger ones (as in log-structured merge trees), so that an event costs little however many pairs there are.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import UnsupportedByData
from dynmm.evidence.fading import Fading
from dynmm.evidence.pairing import forward_sums
from dynmm.evidence.pairrows import PairGrid, PairRows, Row, RowCache, grid_of, rows_of
from dynmm.evidence.pairtable import PairTable, mirrored, no_pairs, summed
from dynmm.evidence.sequences import Sequences, blocks_of_users
from dynmm.evidence.stretch import Stretch
from dynmm.evidence.tail import Tail
from dynmm.evidence.turns import Turn
from dynmm.evidence.weighing import LAG_UNIT, PairSettings
from dynmm.interactions.dataset import Dataset
from dynmm.types import NO_TIME, Events, IntArray

#: Pairs that are summed at a time while building: some 600 MB at the peak.
_BLOCK_PAIRS = 8_000_000
#: Events that the tail holds before they are summed, read or not.
_TAIL = 4_096
#: New events that are summed at a time.
_PORTION = 65_536
#: A table is put into the one before it unless that one is more than so many times as large.
_RATIO = 2
#: Records of rows that are kept put together: some 20 bytes each.
_CACHED_RECORDS = 2_000_000


class PairStatistics:
    """Sums over ordered item pairs as of the last event. See `PairRows` for the columns.

    Learning events, one by one or in portions, gives the statistics that a build over all of them gives: the same
    bits, or the same to rounding where weights fade. Items and users may be new. Where the data has no order, every
    pair within the window counts 1 in `users` (by user), `after` and `before`, and nothing follows anything.
    Reading sums what waits in the tail and changes no number. Several threads may read while one learns.
    """

    def __init__(
        self,
        settings: PairSettings,
        tables: list[PairTable],
        sequences: Sequences,
        *,
        ordered: bool,
        fading: Fading | None = None,
        since: int | None = None,
    ) -> None:
        """For `of` and `load`. tables: the largest first. since: ms, older events are left out."""
        self.settings, self.ordered, self.since = settings, ordered, since
        self.tables, self.sequences, self.fading = tables, sequences, fading
        timed = fading is not None or since is not None
        self._tail = Tail("pair statistics that fade or are windowed" if timed else "pair statistics", timed=timed)
        self._cache = RowCache(_CACHED_RECORDS)
        self._turn = Turn()

    @classmethod
    def of(cls, dataset: Dataset, settings: PairSettings | None = None, *, since: int | None = None) -> PairStatistics:
        """Build in one pass. since: ms UTC; only events from then on count, among themselves and with later ones.

        A window that moves on is built anew: taking events out one by one would need every older pair of theirs.
        Raises UnsupportedByData where weights are to fade, or a window is asked for, and the data has no time.
        """
        settings = settings or PairSettings()
        if (settings.half_life_days is not None or since is not None) and not dataset.has_time:
            raise UnsupportedByData(
                "pairs cannot fade or be windowed: the data has no timestamps; leave half_life_days and since out"
            )
        if since is not None:
            assert dataset.events.timestamps is not None
            dataset = dataset.keep(dataset.events.timestamps >= since)
        times = dataset.events.timestamps if dataset.has_time else None
        fading = _fading_at_the_end(settings, times)
        table = _built(dataset, settings, fading)
        items = np.array(dataset.events.items, dtype=np.int32)
        sequences = Sequences(np.array(dataset.offsets, dtype=np.int64), items)
        return cls(settings, [table], sequences, ordered=dataset.has_order, fading=fading, since=since)

    def __len__(self) -> int:
        """Events that count."""
        return len(self.sequences) + len(self._tail)

    @property
    def nbytes(self) -> int:
        """Bytes of the state: sums, sequences and put-together rows."""
        return sum(table.nbytes for table in self.tables) + self.sequences.nbytes + self._cache.nbytes

    @property
    def n_records(self) -> int:
        """Ordered pairs in all tables; a pair may stand in several."""
        return sum(len(table) for table in self.tables)

    def apart(self) -> PairStatistics:
        """A copy that advances by itself."""
        with self._turn:
            return copy.deepcopy(self)

    def append(self, events: Events) -> None:
        """Advance by these events, in their order. Raises DataError for negative ids, or times that are missing."""
        if not len(events):
            return
        if self.since is not None and events.timestamps is not None:
            events = events.take(np.flatnonzero((events.timestamps >= self.since) | (events.timestamps == NO_TIME)))
        with self._turn:
            self._tail.add(events)
            if len(self._tail) >= _TAIL:
                self.settle()

    def settle(self) -> None:
        """Sum the tail now, which changes nothing that is read."""
        with self._turn:
            if not len(self._tail):
                return
            events = self._tail.take()
            for start in range(0, len(events), _PORTION):
                self._learn(events.take(slice(start, start + _PORTION)))

    def rows(self, items: IntArray, moment: int | None = None) -> PairRows:
        """The pairs of these source items, in the order given. items: (S,), repeats allowed.

        moment: ms UTC as of which fading weights are read, the newest event's by default; other sums are the same
        at any moment. Raises DataError for a moment too far before the newest event.
        """
        with self._turn:
            return rows_of(self._rows(items), self._units(moment))

    def row(self, item: int, moment: int | None = None) -> PairRows:
        """The pairs of one source item."""
        return self.rows(np.array([item]), moment)

    def between(self, sources: IntArray, targets: IntArray, moment: int | None = None) -> PairGrid:
        """The pairs from each of S sources to each of T targets. sources: (S,), targets: (T,)."""
        with self._turn:
            self.settle()
            return grid_of(self.tables, np.asarray(sources), np.asarray(targets), self._units(moment))

    def compact(self) -> None:
        """Put everything into one table, which makes reading fastest and changes nothing that is read."""
        with self._turn:
            self.settle()
            self.tables = [summed(self.tables)]
            self._cache.clear()

    def save(self, folder: Path) -> None:
        """Write everything, the newest events included. Raises StorageError."""
        from dynmm.evidence.pairkeeping import save_pairs

        with self._turn:
            save_pairs(self, folder)

    @classmethod
    def load(cls, folder: Path) -> PairStatistics:
        """Read what `save` wrote. Raises ArtefactError."""
        from dynmm.evidence.pairkeeping import load_pairs

        return load_pairs(folder)

    def _learn(self, events: Events) -> None:
        order = np.argsort(events.users, kind="stable")
        users, counts = np.unique(events.users, return_counts=True)
        new = np.asarray(events.items)[order]
        past, lengths = self.sequences.of(users)
        stretch = Stretch.of(past, lengths, new, counts)
        scale = None
        if self.fading is not None:
            assert events.timestamps is not None
            moved = self.fading.meet(int(events.timestamps.max()))
            if moved:
                self.tables = [table.scaled(moved) for table in self.tables]
                self._cache.clear()
            scale = self.fading.weights(events.timestamps[order])
        table = mirrored(forward_sums(stretch, self.settings, ordered=self.ordered, scale=scale))
        self.sequences.extend(users, new, counts)
        if len(events) == 1:
            self._cache.advance(table)
        else:
            self._cache.drop(table.sources.tolist())
        self._push(table)

    def _push(self, table: PairTable) -> None:
        if not len(table):
            return
        self.tables.append(table)
        while len(self.tables) > 1 and len(self.tables[-2]) <= _RATIO * len(self.tables[-1]):
            last = self.tables.pop()
            self.tables[-1] = summed([self.tables[-1], last])

    def _rows(self, items: IntArray) -> list[Row]:
        self.settle()
        asked = np.asarray(items, dtype=np.int64)
        distinct, places = np.unique(asked, return_inverse=True)
        found: dict[int, Row] = {}
        missing = []
        for place, source in enumerate(distinct.tolist()):
            row = self._cache.get(source)
            if row is None:
                missing.append(place)
            else:
                found[place] = row
        if missing:
            found.update(zip(missing, self._put_together(distinct[missing]), strict=True))
        return [found[place] for place in places.tolist()]

    def _put_together(self, sources: NDArray[np.int64]) -> list[Row]:
        """Rows of ascending sources: straight from the one table that has them, or summed over several."""
        spans = [table.spans(sources) for table in self.tables]
        lengths = np.array([ends - begins for begins, ends in spans])
        several = (lengths > 0).sum(axis=0) > 1
        merged = self._merged(sources[several]) if several.any() else {}
        home = np.argmax(lengths > 0, axis=0).tolist()
        rows: list[Row] = []
        for place, source in enumerate(sources.tolist()):
            if source in merged:
                rows.append(merged[source])
                continue
            begins, ends = spans[home[place]]
            rows.append(self.tables[home[place]].slices(int(begins[place]), int(ends[place])))
        return rows

    def _merged(self, sources: NDArray[np.int64]) -> dict[int, Row]:
        whole = summed([table.part(sources) for table in self.tables])
        rows = {}
        for place, source in enumerate(whole.sources.tolist()):
            items, columns = whole.slices(int(whole.starts[place]), int(whole.starts[place + 1]))
            # Copies, so that a row that stays does not keep all of them.
            rows[source] = (items.copy(), tuple(column.copy() for column in columns))
            self._cache.put(source, rows[source])
        return rows

    def _units(self, moment: int | None) -> tuple[float, ...]:
        now = 1.0 if self.fading is None else self.fading.unit(moment)
        return now, now * self.settings.later_unit, now * LAG_UNIT, now * LAG_UNIT


def _fading_at_the_end(settings: PairSettings, times: IntArray | None) -> Fading | None:
    if settings.half_life_ms is None or times is None:
        return None
    newest = int(times.max(initial=0))
    return Fading(settings.half_life_ms, float(newest), newest)


def _built(dataset: Dataset, settings: PairSettings, fading: Fading | None) -> PairTable:
    tables = [no_pairs(fading=fading is not None)]
    for first, last in blocks_of_users(dataset.offsets, settings.window, _BLOCK_PAIRS):
        counts = np.diff(dataset.offsets[first : last + 1])
        events = dataset.events.take(slice(int(dataset.offsets[first]), int(dataset.offsets[last])))
        nobody = np.empty(0, dtype=np.int64)
        stretch = Stretch.of(nobody, np.zeros_like(counts), events.items, counts)
        scale = None
        if fading is not None:
            assert events.timestamps is not None
            scale = fading.weights(events.timestamps)
        tables.append(forward_sums(stretch, settings, ordered=dataset.has_order, scale=scale))
    return mirrored(summed(tables))
