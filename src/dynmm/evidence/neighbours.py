"""The paper's evidence (its section 4.3): an item's strongest neighbours, whoever asks, all alike.

B queries, C candidates, I items. One column: how many of an item's neighbours the user has had lately.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from dynmm.evidence.attributes import AttributeTable
from dynmm.evidence.items import ItemStatistics
from dynmm.evidence.likeness import Likeness
from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.parts import Column, Part
from dynmm.evidence.terms import Terms
from dynmm.system import Query
from dynmm.types import FloatArray, IntArray, UserHistory


@dataclass(frozen=True, eq=False)
class NeighbourTerms:
    """Read in place of `Terms`. Neighbours are those of the fit, as the paper's are made beforehand: what is learned
    since moves histories and counts, and no neighbour.

    near: (I', I') of I' items at the fit, 1 where the row is a neighbour of the column. Pairs, likeness, attributes
    and item statistics are held for what a store looks up in them; they add nothing.
    """

    pairs: PairStatistics
    items: ItemStatistics
    attributes: AttributeTable
    n_items: int
    near: sp.csr_matrix
    likeness: tuple[Likeness, ...] = field(default=())

    @classmethod
    def of(cls, terms: Terms, most: int) -> NeighbourTerms:
        """From the facts of a fit. most: neighbours of an item, those with whom most people took it."""
        near = _nearest(terms.pairs, terms.n_items, most)
        return cls(terms.pairs, terms.items, terms.attributes, terms.n_items, near, terms.likeness)

    def anew(self, most: int) -> NeighbourTerms:
        """The same with neighbours by the counts as they are now."""
        return replace(self, near=_nearest(self.pairs, self.n_items, most))

    @property
    def columns(self) -> tuple[Column, ...]:
        """The one column."""
        return (Column("neighbours"),)

    def each(self, queries: Sequence[Query]) -> Iterator[NDArray[np.float32]]:
        """The column by itself, (B, I)."""
        yield self.total(queries, np.ones(1))

    def total(self, queries: Sequence[Query], weights: FloatArray) -> NDArray[np.float32]:
        """(B, I): see `Terms.total`."""
        recent = [self._recent(query.history) for query in queries]
        starts = np.concatenate([[0], np.cumsum([len(one) for one in recent])])
        had = np.concatenate([np.empty(0, np.int64), *recent])
        past = sp.csr_matrix((np.ones(len(had), np.float32), had, starts), shape=(len(queries), self.n_items))
        return np.asarray((past @ self._to).toarray() * np.float32(weights[0]), dtype=np.float32)

    def total_on(self, query: Query, candidates: IntArray, weights: FloatArray) -> NDArray[np.float32]:
        """(C,): see `Terms.total_on`."""
        found: NDArray[np.float32] = self.total([query], weights)[0, np.asarray(candidates, dtype=np.int64)]
        return found

    def parts(self, query: Query, item: int, weights: FloatArray) -> list[Part]:
        """What each neighbour adds to one item."""
        sources = self._recent(query.history)
        near = np.isin(sources, self._of(item))
        return [Part("together", int(source), float(weights[0])) for source in sources[near]] if weights[0] else []

    def neighbours(self, query: Query, k: int, weights: FloatArray) -> NDArray[np.int64]:
        """The k items of which the user has had most neighbours."""
        counts = self.total([query], np.ones(1))[0]
        pointed = np.flatnonzero(counts)
        return pointed[np.lexsort((pointed, -counts[pointed]))[:k]].astype(np.int64)

    def _recent(self, history: UserHistory) -> NDArray[np.int64]:
        recent: NDArray[np.int64] = np.unique(np.asarray(history.items[-self.pairs.settings.window :], dtype=np.int64))
        return recent

    def _of(self, item: int) -> NDArray[np.int64]:
        return self._to.T.tocsr()[item].indices.astype(np.int64)

    @cached_property
    def _to(self) -> sp.csr_matrix:
        """(I, I): `near`, with items that came since, which have no neighbours."""
        near, more = self.near, self.n_items - self.near.shape[0]
        starts = np.pad(near.indptr, (0, more), mode="edge")
        return sp.csr_matrix((near.data, near.indices, starts), shape=(self.n_items, self.n_items))


def _nearest(pairs: PairStatistics, n_items: int, most: int) -> sp.csr_matrix:
    rows = pairs.rows(np.arange(n_items))
    owners = np.repeat(np.arange(n_items), np.diff(rows.offsets))
    # By item, the most people first, equals by number; then the place within the item.
    order = np.lexsort((rows.items, -rows.users, owners))
    place = np.arange(len(order)) - rows.offsets[owners[order]]
    kept = order[(place < most) & (rows.users[order] > 0) & (rows.items[order] != owners[order])]
    ones = np.ones(len(kept), np.float32)
    return sp.csr_matrix((ones, (rows.items[kept], owners[kept])), shape=(n_items, n_items))
