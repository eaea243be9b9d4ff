"""Slates for a re-ranker: the best candidates of the stages below, with all that those know of them.

B queries, C candidates, I items.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from dynmm.adapter.space import at_rest, vectors_at
from dynmm.evidence.items import ItemStatistics
from dynmm.evidence.parts import Part
from dynmm.evidence.reading import FactReader
from dynmm.evidence.score import EvidenceScore
from dynmm.evidence.terms import Terms
from dynmm.language.slates import NOBODY, Shelf, Slates
from dynmm.protocols import VectorSpace
from dynmm.system import PADDING, Query, Rankings, in_time
from dynmm.types import UserHistory


class NewestShelf:
    """The shelf as it was last, until a count or an item changes: questions are grouped by the very shelf."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: tuple[ItemStatistics, VectorSpace | None, Sequence[str], int, Shelf] | None = None

    def of(self, terms: Terms, reader: VectorSpace | None, titles: Sequence[str]) -> Shelf:
        """What is known of the items. terms: whose counts are read, as they are now. reader, titles: see `SlateMaker`.

        Safe to use from any thread.
        """
        with self._lock:
            if self._held is not None:
                items, read, named, appended, shelf = self._held
                same = items is terms.items and read is reader and named is titles
                if same and appended == items.appended and len(shelf.taken) == terms.n_items:
                    return shelf
            appended = terms.items.appended
            taken = torch.from_numpy(terms.taken().astype(np.float32))
            vectors = torch.zeros(terms.n_items, 0) if reader is None else reader.item_vectors.detach().cpu()
            shelf = Shelf(vectors, taken, titles)
            self._held = (terms.items, reader, titles, appended, shelf)
            return shelf


@dataclass(frozen=True, eq=False)
class SlateMaker:
    """Reads what re-rankers are asked out of the stages below.

    space: whose inner products are the latent scores. evidence: what is added to them. reader: the space in whose
    coordinates re-rankers were trained, that of the fit before the cut: two fits of the same events agree in their
    scores, but not in their coordinates. None where no re-ranker reads vectors. titles: (I,), empty where there is
    none. history: L. shelves: where the shelf is kept from one maker to the next.
    """

    space: VectorSpace
    evidence: EvidenceScore
    reader: VectorSpace | None
    titles: Sequence[str]
    history: int
    shelves: NewestShelf = field(default_factory=NewestShelf)

    @property
    def shelf(self) -> Shelf:
        """What is known of the items themselves, with counts as they are now; the same object while they stand."""
        return self.shelves.of(self.facts.terms, self.reader, self.titles)

    @cached_property
    def facts(self) -> FactReader:
        """What reads the facts."""
        found = self.evidence.reader
        assert found is not None, "slates are made of facts that know the user"
        return found

    def of(
        self, queries: Sequence[Query], found: Rankings, hidden: Sequence[Mapping[int, list[Part]]] | None = None
    ) -> Slates:
        """Slates of the first places of a ranking by latent and evidence, with what the adapter moves left out.

        Re-rankers were trained on stages that stand still. The adapter's part is in the ranking, and stays there
        beside what they add; what they say does not hang on it. found: (B, C). hidden: by query, the facts that are
        not to be read, see `FactReader.read`.
        """
        histories = [query.history for query in queries]
        items = torch.from_numpy(np.where(found.items == PADDING, NOBODY, found.items).astype(np.int64))
        facts = torch.zeros(*items.shape, len(self.facts.names))
        for row in in_time(queries):
            own = found.items[row][found.items[row] != PADDING]
            gone = {} if hidden is None else dict(hidden[row])
            facts[row, : len(own)] = torch.from_numpy(self.facts.read(queries[row], own, gone))
        still = at_rest(self.space)
        latent, scores = _latent(still, histories, items), torch.from_numpy(found.scores)
        if still is not self.space:
            scores = scores + (latent - _latent(self.space, histories, items))
        return Slates(
            users=torch.zeros(len(queries), 0) if self.reader is None else self.reader.user_vectors(histories).cpu(),
            history=torch.from_numpy(newest_items(histories, self.history)),
            items=items,
            scores=scores,
            latent=latent,
            facts=facts,
        )


def _latent(space: VectorSpace, histories: Sequence[UserHistory], items: torch.Tensor) -> torch.Tensor:
    """(B, C) inner products in a space, 0 at padding. items: (B, C)."""
    users = space.user_vectors(histories).cpu()
    vectors = vectors_at(space, items.clamp(min=0)).cpu()
    return (vectors * users[:, None]).sum(-1).masked_fill(items == NOBODY, 0.0)


def newest_items(histories: Sequence[UserHistory], length: int) -> np.ndarray:
    """(B, L) the newest items, oldest first, padded on the left."""
    found = np.full((len(histories), length), NOBODY, dtype=np.int64)
    for row, history in enumerate(histories):
        own = np.asarray(history.items[-length:], dtype=np.int64)
        found[row, length - len(own) :] = own
    return found
