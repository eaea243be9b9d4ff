"""The re-ranking stage as a recommender: `dynmm/rerank`, the fourth rung of the ladder.

B queries, C candidates of the stages below, k places.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from dynmm.interactions.dataset import Dataset
from dynmm.language.batching import MicroBatcher
from dynmm.language.contracts import Reranker
from dynmm.language.gamma import term
from dynmm.language.serving import Reason, Refiner, Remembered, Served
from dynmm.language.slates import Shelf, Slates
from dynmm.making_once import made_once
from dynmm.system import PADDING, Query, Rankings
from dynmm.types import Events

if TYPE_CHECKING:
    from dynmm.language.prefixes import PrefixCache

#: Most questions of several threads in one run.
BATCH_ROWS = 8

#: Most questions under way to a server at the same time where there is a deadline.
AT_ONCE = 32


class Below(Protocol):
    """The stages below, and what they tell a re-ranker."""

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """The best k items by latent and evidence."""
        ...

    def slates(self, queries: Sequence[Query], found: Rankings) -> Slates:
        """What is known of these items."""
        ...

    @property
    def shelf(self) -> Shelf:
        """What is known of all items."""
        ...

    def learn(self, events: Events) -> None:
        """Count them."""
        ...


@dataclass(frozen=True, eq=False)
class Added:
    """What re-ranking adds to B questions. values: (B, C). reasons: why one was not re-ranked, None where it was."""

    values: Tensor
    reasons: tuple[Reason | None, ...]


@dataclass(frozen=True, eq=False)
class Reranking:
    """A fitted re-ranker. kind: see `RerankSettings`. gamma: its weight. candidates: C, what it is asked about.

    deadline_ms, prefixes: see `LanguageSettings`; prefixes are states of users that are kept. server: address and name
    of a vLLM server that reads the model in place of this process. batch_wait_ms: see `LanguageSettings`. remembered:
    within one request, what has been asked; see `for_one_request`. served: where its questions are counted.
    """

    kind: str
    ranker: Reranker
    gamma: float
    candidates: int
    deadline_ms: float | None = None
    prefixes: int = 0
    server: tuple[str, str] | None = None
    batch_wait_ms: float | None = None
    remembered: Remembered | None = None
    served: Served = field(default_factory=Served)

    def for_one_request(self) -> Reranking:
        """The same with the same counts, which asks a question once. See `Remembered`."""
        return replace(self, remembered=Remembered(self.refiner))

    def afresh(self) -> Reranking:
        """The same with the same counts, which remembers nobody. See `Whole.afresh`."""
        return replace(self)

    @made_once
    def refiner(self) -> Refiner:
        """Asks it in time and gives on nothing unsound; its `served` counts."""
        if self.remembered is not None:
            return self.remembered.refiner
        asked: Reranker = self.ranker
        if self.kind == "language" and self.server is not None:
            from dynmm.language.ranker import LanguageRanker
            from dynmm.language.remote import VllmServer
            from dynmm.language.remote_ranker import RemoteRanker

            assert isinstance(self.ranker, LanguageRanker)
            asked = RemoteRanker(self.ranker, VllmServer(*self.server)).checked()
        elif self.kind == "language" and self.prefixes:
            asked = self._heads
        if self.kind != "language" or self.batch_wait_ms is None:
            at_once = AT_ONCE if self.kind == "language" and self.server is not None else 1
            return Refiner(asked, deadline_ms=self.deadline_ms, served=self.served, at_once=at_once)
        together = MicroBatcher(asked, rows=BATCH_ROWS, wait_ms=self.batch_wait_ms)
        refiner = Refiner(together, deadline_ms=self.deadline_ms, served=self.served)
        weakref.finalize(refiner, together.close, wait=False)
        return refiner

    @made_once
    def _heads(self) -> PrefixCache:
        from dynmm.language.prefixes import PrefixCache
        from dynmm.language.ranker import LanguageRanker

        assert isinstance(self.ranker, LanguageRanker)
        return PrefixCache(self.ranker, self.prefixes)

    def clear(self) -> None:
        """Forget the states of users that are kept."""
        if "_heads" in vars(self):
            self._heads.clear()

    @torch.no_grad()
    def terms(self, slates: Slates, shelf: Shelf) -> Added:
        """(B, C): what re-ranking adds to each score, never negative, each row the same whichever others come along.

        So what was looked at never falls behind what was not. Zeros where the re-ranker was too late or unsound.
        """
        # One by one: another number of rows could mean another kernel, and other bits.
        rows = [self._row(slates.take(slice(row, row + 1)), shelf) for row in range(len(slates))]
        values = torch.cat([torch.zeros(0, slates.items.shape[1]), *(row.values for row in rows)])
        return Added(values, tuple(reason for row in rows for reason in row.reasons))

    def _row(self, slates: Slates, shelf: Shelf) -> Added:
        refined = (self.remembered or self.refiner)(slates, shelf)
        if refined.raw is None:
            return Added(torch.zeros_like(slates.latent), refined.reasons)
        return Added(term(refined.raw.float().cpu(), slates, self.gamma).values, refined.reasons)


class RerankSystem:
    """Ranks by the stages below, and puts their best candidates in a better order."""

    learns_online: ClassVar[bool] = True

    def __init__(
        self,
        fit: Callable[[Dataset], tuple[Below, Reranking]],
        fitted: tuple[Below, Reranking] | None = None,
        name: str = "dynmm/rerank",
    ) -> None:
        """fit: makes both from a data set. fitted: already there."""
        self._fit, self._fitted, self.name = fit, fitted, name

    def fit(self, dataset: Dataset) -> None:
        """Fit every stage below, and the re-ranker."""
        self._fitted = self._fit(dataset)

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """The best k items: the first C of the stages below in the order of all stages, then the others."""
        below, reranking = self._parts()
        found = below.rank(queries, max(k, reranking.candidates))
        return refined(below, reranking, queries, found, k)

    def learn(self, events: Events) -> None:
        """Count them: the next ranking knows them."""
        self._parts()[0].learn(events)

    def _parts(self) -> tuple[Below, Reranking]:
        if self._fitted is None:
            raise RuntimeError("the re-ranker is not fitted: call fit(dataset) first")
        return self._fitted


def refined(below: Below, reranking: Reranking, queries: Sequence[Query], found: Rankings, k: int) -> Rankings:
    """A ranking of the stages below with its first C places in a better order, cut to k.

    Of people without a history it is not asked: it adds nothing for them, see `term`.
    """
    width = min(reranking.candidates, found.items.shape[1])
    items, scores = found.items.copy(), found.scores.copy()
    reasons: list[Reason | None] = [None] * len(queries)
    asked = [row for row, query in enumerate(queries) if len(query.history)]
    for at in range(0, len(asked), _ROWS):
        rows = asked[at : at + _ROWS]
        top = Rankings(items[rows, :width], scores[rows, :width])
        added = reranking.terms(below.slates([queries[row] for row in rows], top), below.shelf)
        for row, reason in zip(rows, added.reasons, strict=True):
            reasons[row] = reason
        worth = np.where(top.items == PADDING, -np.inf, top.scores + added.values.numpy()).astype(np.float32)
        order = np.lexsort((top.items, -worth), axis=1)
        items[rows, :width] = np.take_along_axis(top.items, order, axis=1)
        scores[rows, :width] = np.take_along_axis(worth, order, axis=1)
    return Rankings(items[:, :k], scores[:, :k], reasons)


#: Queries whose slates are held at once.
_ROWS = 256
