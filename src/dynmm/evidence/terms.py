"""What the evidence score is a sum of: facts between history items and candidates, column by column.

For history item j, h events before the newest (0 for all where the data has no order), and candidate i, a column is
recency^h times one fact of the pair:

    followed   log(1 + sum of 1 / lag over transitions of up to three steps)      over sqrt(n_j n_i)
    after      log(1 + 2 sum of lag^-1/2, i after j within the window)            the same
    before     the same with i before j                                           the same
    users      log(1 + distinct users who had both within the window)             the same
    flow       sum of 1 / lag over transitions of up to three steps               over n_j^.5 n_i^.2
    ahead      2 sum of lag^-1/2, i after j within the window                     the same
    behind     the same with i before j                                           the same
    alike      cosine in one modality                                             over the sum of recency^h
    new        the same, times 5 / (n_i + 5): of items that few have taken yet    the same
    attribute  what the two share in one column, see `AttributeTable`             the same

with n the events of an item, at least 1. Logarithms speak for pairs that few people stand behind, the plain sums over
a smaller power for those of many. Beside them `trend`, which knows no history: log(1 + people who took i in the last
days). B queries, S history items, I items, K columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from dynmm.evidence.alone import lately
from dynmm.evidence.attributes import AttributeTable
from dynmm.evidence.items import ItemStatistics
from dynmm.evidence.likeness import Likeness
from dynmm.evidence.pairfacts import PAIR_FACTS, facts_of_pairs
from dynmm.evidence.pairrows import PairGrid
from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.parts import Column, Part
from dynmm.system import Query, in_time
from dynmm.topk import inner_products
from dynmm.types import FloatArray, IntArray, UserHistory

#: Events from which on an item is half known.
HALF_KNOWN = 5.0

#: Up to so many queries the pairs of all history items are read for each: that costs less than a sparse product.
_FEW_ROWS = 4

#: Queries whose values of attributes stand side by side, dense, so that few items with many values cost no memory.
_PROFILE_ROWS = 256


@dataclass(frozen=True, eq=False)
class Terms:
    """Everything that facts are read from, as of now. Reading changes nothing.

    likeness: one for each modality that items have. recencies, trend_days: see `EvidenceSettings`.
    """

    pairs: PairStatistics
    items: ItemStatistics
    likeness: tuple[Likeness, ...]
    attributes: AttributeTable
    recencies: tuple[float, ...]
    trend_days: tuple[int, ...]
    n_items: int

    @property
    def columns(self) -> tuple[Column, ...]:
        """K columns, always in this order."""
        histories = [
            *(Column(fact) for fact in PAIR_FACTS),
            *(Column(fact, one.modality) for one in self.likeness for fact in ("alike", "new")),
            *(Column("attribute", name) for name in self.attributes.names),
        ]
        listed = [Column(one.fact, one.name, r) for one in histories for r in self.recencies]
        return (*listed, *(Column("trend", str(days)) for days in self.trend_days))

    def each(self, queries: Sequence[Query]) -> Iterator[NDArray[np.float32]]:
        """The columns by themselves, (B, I) each, in their order."""
        past = _Past.of([query.history for query in queries], self._window)
        weighed = {r: past.weighed(r) for r in self.recencies}
        shares = {r: _shares(weighed[r]) for r in self.recencies}
        facts, offsets, items = self._pair_rows(past.sources)
        for values in facts.values():
            kernel = sp.csr_matrix((values, items, offsets), shape=(len(past.sources), self.n_items))
            for r in self.recencies:
                yield np.asarray((weighed[r] @ kernel).toarray(), dtype=np.float32)
        for one in self.likeness:
            near = {r: inner_products(shares[r] @ one.vectors[past.sources], one.vectors) for r in self.recencies}
            yield from (near[r] for r in self.recencies)
            yield from (near[r] * self.newness() for r in self.recencies)
        table = self.attributes
        had = table.entries[past.sources]
        for place in range(len(table.names)):
            own = np.flatnonzero(table.column == place)
            left, right = had[:, own], table.entries[:, own].T.tocsr()
            for r in self.recencies:
                yield np.asarray(((shares[r] @ left) @ right).toarray(), dtype=np.float32)
        for days in self.trend_days:
            yield np.stack([self.trend(query.as_of, days) for query in queries])

    def total(self, queries: Sequence[Query], weights: FloatArray) -> NDArray[np.float32]:
        """(B, I): the columns' weighted sum, each row the same to the bit whichever others come with it.

        weights: (K,).
        """
        worth = self._worth(weights)
        past = _Past.of([query.history for query in queries], self._window)
        out = np.zeros((len(queries), self.n_items), dtype=np.float32)
        if not len(past.sources):
            return self._with_trend(out, queries, worth)
        facts, offsets, items = self._pair_rows(past.sources)
        for r in self.recencies:
            mixed = _summed(np.float32(worth[fact, "", r]) * values for fact, values in facts.items())
            kernel = sp.csr_matrix((mixed, items, offsets), shape=(len(past.sources), self.n_items))
            out += _spread(past.weighed(r), kernel)
        shares = {r: _shares(past.weighed(r)) for r in self.recencies}
        for one in self.likeness:
            self._add_likeness(out, one, past.sources, shares, worth)
        self._add_attributes(out, past.sources, shares, worth)
        return self._with_trend(out, queries, worth)

    def total_on(self, query: Query, candidates: IntArray, weights: FloatArray) -> NDArray[np.float32]:
        """(C,): the same for some candidates of one query, each the same to the bit whichever others come with it.

        candidates: (C,) dense.
        """
        sources, amounts = self.past(query.history)
        worth = self._worth(weights)
        candidates = np.asarray(candidates, dtype=np.int64)
        out = np.zeros(len(candidates))
        if len(sources):
            grid = self.pairs.between(sources, candidates)
            for fact, values in self.facts_on(grid, sources, candidates).items():
                strength = _summed(worth[fact, "", r] * amounts[r] for r in self.recencies)
                out += np.ascontiguousarray((strength[:, None] * values).T).sum(axis=1)
            for one in self.likeness:
                plain, new = (
                    _summed(worth[fact, one.modality, r] * amounts[r] / amounts[r].sum() for r in self.recencies)
                    for fact in ("alike", "new")
                )
                for liked, factor in ((plain, 1.0), (new, self.newness(candidates))):
                    out += (one.vectors[candidates] * (liked @ one.vectors[sources])).sum(axis=1) * factor
            out += self._attributes_on(sources, amounts, candidates, worth)
        for days in self.trend_days:
            out += worth["trend", str(days), 0.0] * self.trend(query.as_of, days, candidates)
        return out.astype(np.float32)

    def parts(self, query: Query, item: int, weights: FloatArray) -> list[Part]:
        """What each fact adds to one item, in no order; their sum is the item's `total`."""
        sources, amounts = self.past(query.history)
        worth = self._worth(weights)
        found: list[Part] = []
        if len(sources):
            grid = self.pairs.between(sources, np.asarray([item]))
            told = {kind: np.zeros(len(sources)) for kind in ("followed", "together")}
            for fact, values in self.facts_on(grid, sources, np.asarray([item])).items():
                strength = _summed(worth[fact, "", r] * amounts[r] for r in self.recencies)
                told[PAIR_FACTS[fact]] += strength * values[:, 0]
            for kind, sums in told.items():
                found += [Part(kind, int(j), float(a)) for j, a in zip(sources, sums, strict=True) if a != 0]
            for one in self.likeness:
                near = one.vectors[sources] @ one.vectors[item]
                strength = _summed(
                    (
                        worth["alike", one.modality, r]
                        + worth["new", one.modality, r] * self.newness(np.asarray([item]))[0]
                    )
                    * amounts[r]
                    / amounts[r].sum()
                    for r in self.recencies
                )
                sums = strength * near
                found += [
                    Part("alike", int(j), float(a), one.modality) for j, a in zip(sources, sums, strict=True) if a != 0
                ]
            found += self._attribute_parts(sources, amounts, item, worth)
        for days in self.trend_days:
            amount = float(worth["trend", str(days), 0.0] * self.trend(query.as_of, days, np.asarray([item]))[0])
            if amount != 0:
                found.append(Part("trend", -1, amount, str(days)))
        return found

    def neighbours(self, query: Query, k: int, weights: FloatArray) -> NDArray[np.int64]:
        """The k items to which facts of pairs point most strongly, best first: a source of candidates."""
        sources, amounts = self.past(query.history)
        if not len(sources):
            return np.empty(0, dtype=np.int64)
        worth = self._worth(weights)
        facts, offsets, items = self._pair_rows(sources)
        rows = np.repeat(np.arange(len(sources)), np.diff(offsets))
        mixed = np.zeros(len(items))
        for fact, values in facts.items():
            mixed += _summed(worth[fact, "", r] * amounts[r] for r in self.recencies)[rows] * values
        pointed, places = np.unique(items, return_inverse=True)
        sums = np.bincount(places, weights=mixed, minlength=len(pointed))
        return pointed[np.lexsort((pointed, -sums))[:k]].astype(np.int64)

    def _worth(self, weights: FloatArray) -> dict[tuple[str, str, float], float]:
        columns = self.columns
        assert len(columns) == len(weights), "weights belong to other columns"
        return {(one.fact, one.name, one.recency): float(w) for one, w in zip(columns, weights, strict=True)}

    def past(self, history: UserHistory) -> tuple[NDArray[np.int64], dict[float, FloatArray]]:
        """Distinct items of the window, newest first, and by recency what each weighs. Without an order, all alike."""
        window = self._window
        recent = np.asarray(history.items if window is None else history.items[-window:], dtype=np.int64)[::-1]
        sources, first, places = np.unique(recent, return_index=True, return_inverse=True)
        order = np.argsort(first)
        back = np.argsort(order)
        ages = np.arange(len(recent), dtype=np.float64) if window is not None else np.zeros(len(recent))
        weigh = partial(np.bincount, back[places], minlength=len(sources))
        amounts: dict[float, FloatArray] = {r: np.asarray(weigh(r**ages), dtype=np.float64) for r in self.recencies}
        return sources[order], amounts

    @property
    def _window(self) -> int | None:
        """Newest events of a history that are read; None where the data has no order, and all are read alike."""
        return self.pairs.settings.window if self.pairs.ordered else None

    def taken(self, items: IntArray | None = None) -> FloatArray:
        """(N,) events of these dense items, or of all."""
        if items is not None:
            asked = np.asarray(items)
            return np.where(asked < self.n_items, self.items.events_of(asked), 0).astype(np.float64)
        known = self.items.events[: self.n_items]
        return np.concatenate([known, np.zeros(self.n_items - len(known))]).astype(np.float64)

    def facts_on(self, grid: PairGrid, sources: IntArray, candidates: IntArray) -> dict[str, FloatArray]:
        """The facts of pairs, (S, C) each, normalised. grid: of these sources and candidates."""
        counts = np.maximum(self.taken(sources), 1.0)[:, None], np.maximum(self.taken(candidates), 1.0)[None]
        return facts_of_pairs(grid, *counts)

    def newness(self, items: IntArray | None = None) -> NDArray[np.float32]:
        """(N,) 5 / (n + 5) of these dense items, or of all."""
        return (HALF_KNOWN / (self.taken(items) + HALF_KNOWN)).astype(np.float32)

    def trend(self, as_of: int | None, days: int, items: IntArray | None = None) -> NDArray[np.float32]:
        """See `lately`."""
        return lately(self.items, self.n_items, as_of, days, items)

    def _with_trend(
        self, out: NDArray[np.float32], queries: Sequence[Query], worth: dict[tuple[str, str, float], float]
    ) -> NDArray[np.float32]:
        for days in self.trend_days:
            if weight := worth["trend", str(days), 0.0]:
                for row in in_time(queries):
                    out[row] += np.float32(weight) * self.trend(queries[row].as_of, days)
        return out

    def _pair_rows(
        self, sources: IntArray
    ) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.int64], NDArray[np.int32]]:
        """Facts of all pairs that start from these items, normalised: (N,) each, row offsets, items."""
        # Items that came since, and were taken, are counted in pairs that are shared with who knows them.
        rows = self.pairs.rows(sources).below(self.n_items)
        had, met = np.maximum(self.taken(sources), 1.0), np.maximum(self.taken(rows.items), 1.0)
        facts = facts_of_pairs(rows, np.repeat(had, np.diff(rows.offsets)), met)
        narrow = {fact: values.astype(np.float32) for fact, values in facts.items()}
        return narrow, rows.offsets, rows.items

    def _add_likeness(
        self,
        out: NDArray[np.float32],
        one: Likeness,
        sources: IntArray,
        shares: dict[float, sp.csr_matrix],
        worth: dict[tuple[str, str, float], float],
    ) -> None:
        plain, new = (
            np.asarray(
                _summed(np.float32(worth[fact, one.modality, r]) * shares[r] for r in self.recencies)
                @ one.vectors[sources],
                dtype=np.float32,
            )
            for fact in ("alike", "new")
        )
        if not (plain.any() or new.any()):
            return
        # One product for both: few rows cost as much as none, since they are filled up.
        near = inner_products(np.concatenate([plain, new]), one.vectors)
        out += near[: len(out)]
        out += near[len(out) :] * self.newness()

    def _add_attributes(
        self,
        out: NDArray[np.float32],
        sources: IntArray,
        shares: dict[float, sp.csr_matrix],
        worth: dict[tuple[str, str, float], float],
    ) -> None:
        table = self.attributes
        if not table.names:
            return
        had = table.entries[sources]
        by_value = {r: self._attribute_worth(worth, r).astype(np.float32) for r in self.recencies}
        told = [r for r in self.recencies if by_value[r].any()]
        for start in range(0, len(out) if told else 0, _PROFILE_ROWS):
            rows = slice(start, start + _PROFILE_ROWS)
            profiles = _summed((shares[r][rows] @ had).toarray() * by_value[r] for r in told)
            out[rows] += (table.entries @ profiles.T).T

    def _attribute_worth(self, worth: dict[tuple[str, str, float], float], r: float) -> FloatArray:
        """(V,) weight of each value's column."""
        names = self.attributes.names
        return np.asarray([worth["attribute", name, r] for name in names])[self.attributes.column]

    def _attributes_on(
        self,
        sources: IntArray,
        amounts: dict[float, FloatArray],
        candidates: IntArray,
        worth: dict[tuple[str, str, float], float],
    ) -> FloatArray:
        table = self.attributes
        if not table.names:
            return np.zeros(len(candidates))
        profile = np.zeros(len(table.values))
        for r in self.recencies:
            share = amounts[r] / amounts[r].sum()
            profile += (table.entries[sources].T @ share) * self._attribute_worth(worth, r)
        return np.asarray(table.entries[candidates] @ profile)

    def _attribute_parts(
        self,
        sources: IntArray,
        amounts: dict[float, FloatArray],
        item: int,
        worth: dict[tuple[str, str, float], float],
    ) -> list[Part]:
        table, found = self.attributes, []
        for place, source in enumerate(sources.tolist()):
            for value, shared in table.in_common(source, item):
                name = table.names[table.column[value]]
                weight = sum(worth["attribute", name, r] * amounts[r][place] / amounts[r].sum() for r in self.recencies)
                if weight * shared != 0:
                    found.append(Part("attribute", source, float(weight * shared), name, value))
        return found


@dataclass(frozen=True, eq=False)
class _Past:
    """The newest events of B histories over their S distinct items. rows, places, ages: of each event."""

    sources: NDArray[np.int64]
    starts: NDArray[np.int64]
    places: NDArray[np.int64]
    ages: NDArray[np.float64]

    @classmethod
    def of(cls, histories: Sequence[UserHistory], window: int | None) -> _Past:
        """window: None takes all events, and none for older than another."""
        recent = [np.asarray(one.items[-(window or len(one.items)) :], dtype=np.int64) for one in histories]
        lengths = np.asarray([len(one) for one in recent])
        ages = [np.arange(len(one) - 1, -1, -1, dtype=np.float64) * (window is not None) for one in recent]
        sources, places = np.unique(np.concatenate([np.empty(0, np.int64), *recent]), return_inverse=True)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        return cls(sources, starts, places, np.concatenate([np.empty(0), *ages]))

    def weighed(self, recency: float) -> sp.csr_matrix:
        """(B, S) recency^age, summed over the events of an item; in order, so that no sum depends on other rows."""
        values = (recency**self.ages).astype(np.float32)
        made = sp.csr_matrix((values, self.places, self.starts), shape=(len(self.starts) - 1, len(self.sources)))
        made.sum_duplicates()
        return made


def _spread(weighed: sp.csr_matrix, kernel: sp.csr_matrix) -> NDArray[np.float32]:
    """(B, I), the product of (B, S) and (S, I). Both ways sum a row in the order of S, so its bits are the same."""
    if weighed.shape[0] <= _FEW_ROWS:
        return np.asarray((kernel.T @ weighed.toarray().T).T)
    return np.asarray((weighed @ kernel).toarray())


def _summed(parts: Iterable[Any]) -> Any:
    """Arrays or matrices added up in their order."""
    return sum(parts)


def _shares(weighed: sp.csr_matrix) -> sp.csr_matrix:
    """Rows that sum to 1; empty ones stay empty."""
    sums = np.asarray(weighed.sum(axis=1)).ravel()
    lengths = np.diff(weighed.indptr)
    data = weighed.data / np.repeat(np.maximum(sums, 1e-12), lengths).astype(np.float32)
    return sp.csr_matrix((data, weighed.indices, weighed.indptr), shape=weighed.shape)
