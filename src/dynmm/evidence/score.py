"""The evidence score: the latent's score plus what facts add to it, with exact contributions.

B queries, C candidates, I items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from dynmm.catalogue.features import Features
from dynmm.evidence.neighbours import NeighbourTerms
from dynmm.evidence.parts import Part
from dynmm.evidence.reading import FactReader
from dynmm.evidence.terms import Terms
from dynmm.evidence.weights import Weights
from dynmm.system import Query, in_time
from dynmm.topk import best
from dynmm.types import Events, IntArray


@dataclass(frozen=True, eq=False)
class EvidenceScore:
    """What is read (`terms`) and what it is worth (`weights`). `learn` advances the statistics, nothing else does."""

    terms: Terms | NeighbourTerms
    weights: Weights

    def scores(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        """(B, I): what facts add to each item, each row the same to the bit whichever others come with it."""
        new = [row for row in in_time(queries) if self._is_new(queries[row])]
        if not new:
            return self.terms.total(queries, self.weights.effective)
        out = np.empty((len(queries), self.terms.n_items), dtype=np.float32)
        known = sorted(set(range(len(queries))) - set(new))
        out[known] = self.terms.total([queries[row] for row in known], self.weights.effective)
        for row in new:
            out[row] = self._of_newcomers(queries[row])
        return out

    def on(self, query: Query, candidates: IntArray) -> NDArray[np.float32]:
        """(C,): the same for some candidates of one query."""
        if self._is_new(query):
            return self._of_newcomers(query, candidates)
        return self.terms.total_on(query, candidates, self.weights.effective)

    def parts(self, query: Query, item: int) -> list[Part]:
        """What each fact adds to one item; their sum is the item's score, to float tolerance."""
        if self._is_new(query):
            return self.weights.newcomers.parts(self.terms.items, self.terms.n_items, query.as_of, item)
        return self.terms.parts(query, item, self.weights.effective)

    def _is_new(self, query: Query) -> bool:
        """Whether facts are weighed as for people without a history. The paper's facts know no such."""
        return isinstance(self.terms, Terms) and not len(query.history)

    def _of_newcomers(self, query: Query, items: IntArray | None = None) -> NDArray[np.float32]:
        return self.weights.newcomers.total(self.terms.items, self.terms.n_items, query.as_of, items)

    @property
    def reader(self) -> FactReader | None:
        """What a re-ranker reads facts through; None for the paper's variant, whose facts know no user."""
        return FactReader(self.terms) if isinstance(self.terms, Terms) else None

    def neighbours(self, query: Query, k: int) -> NDArray[np.int64]:
        """The k items to which facts point most strongly: a source of candidates."""
        if self._is_new(query):
            facts = self._of_newcomers(query)
            found, _ = best(torch.from_numpy(facts)[None], min(k, len(facts)))
            strongest: NDArray[np.int64] = found[0][facts[found[0]] > 0].astype(np.int64)
            return strongest
        return self.terms.neighbours(query, k, self.weights.effective)

    def learn(self, events: Events) -> None:
        """Count events that have just happened. Items must be known."""
        self.terms.pairs.append(events)
        self.terms.items.append(events)

    def seen(self, features: Sequence[Features]) -> EvidenceScore:
        """The same items seen otherwise: with a modality dropped or corrupted."""
        by_name: dict[str, Features] = {one.modality: one for one in features}
        likeness = tuple(one.seen(by_name[one.modality]) for one in self.terms.likeness)
        return replace(self, terms=replace(self.terms, likeness=likeness))

    def with_items(self, features: Sequence[Features], items: pl.DataFrame) -> EvidenceScore:
        """The same with items behind the others that nobody has touched yet.

        features: of all items, of the modalities that `terms` reads. items: rows of the new ones.
        """
        wider = self.seen(features)
        table = self.terms.attributes.followed_by(items)
        return replace(wider, terms=replace(wider.terms, attributes=table, n_items=self.terms.n_items + len(items)))

    def apart(self) -> EvidenceScore:
        """A copy whose statistics advance by themselves."""
        terms = self.terms
        return replace(self, terms=replace(terms, pairs=terms.pairs.apart(), items=terms.items.apart()))
