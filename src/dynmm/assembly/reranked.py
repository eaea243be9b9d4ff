"""The fitted re-rankers of a run, over the stages below them.

B queries, C candidates, I items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import polars as pl
import torch

from dynmm.assembly.kinds import afresh, changed, opened
from dynmm.assembly.rankers import Frozen, Kept
from dynmm.assembly.searching import rank_within
from dynmm.assembly.slating import NewestShelf, SlateMaker
from dynmm.backbone.system import Backbone
from dynmm.catalogue.features import Features
from dynmm.evidence.parts import Part
from dynmm.fusion.joint import Joint
from dynmm.interactions.fields import TITLE
from dynmm.language.serving import Served
from dynmm.language.slates import Shelf, Slates
from dynmm.language.system import Reranking
from dynmm.protocols import VectorSpace
from dynmm.system import PADDING, Query, Rankings
from dynmm.topk import best
from dynmm.types import Events

if TYPE_CHECKING:
    from dynmm.assembly.whole import Whole

#: `Reranked.chosen` where validation prefers the stages below as they are.
NONE = "none"


@dataclass(frozen=True, eq=False)
class Reranked:
    """What was fitted above the evidence score.

    fitted: every kind that was trained, of a run from a disk a `Kinds`. chosen: the one that ranks, `NONE` for none.
    reader: the space in whose coordinates they were trained, see `SlateMaker`. titles: (I,). history: L. facts: for the
    manifest. shelves: keeps the newest one.
    """

    fitted: Mapping[str, Kept]
    chosen: str
    reader: VectorSpace | None
    titles: Sequence[str]
    history: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    shelves: NewestShelf = field(default_factory=NewestShelf)

    @property
    def frozen(self) -> Frozen | None:
        """The language model that a kind in memory reads with, None where none does."""
        return next((kept.frozen for kept in opened(self.fitted).values() if kept.frozen is not None), None)

    def with_items(self, features: Sequence[Features], items: pl.DataFrame) -> Reranked:
        """The same with items behind the others. See `Joint.with_items`."""
        reader = self.reader.with_items(features) if isinstance(self.reader, Joint) else self.reader
        return replace(self, reader=reader, titles=[*self.titles, *titles_of(items)])

    def with_features(self, features: Sequence[Features]) -> Reranked:
        """The same items seen otherwise."""
        reader = self.reader.with_features(features) if isinstance(self.reader, Joint) else self.reader
        return replace(self, reader=reader)

    def unhurried(self) -> Reranked:
        """The same re-rankers, waited for as long as they take, each question by itself, counting anew."""
        return replace(self, fitted=changed(self.fitted, _unhurried))

    def for_one_request(self) -> Reranked:
        """The same, whose ranking kind asks a question once. The others are left out: they do not answer requests."""
        if self.chosen == NONE:
            return self
        kept = self.fitted[self.chosen]
        return replace(self, fitted={self.chosen: replace(kept, reranking=kept.reranking.for_one_request())})

    def clear(self) -> None:
        """Forget what is kept of the users who were asked about last."""
        if isinstance(self.reader, Joint | Backbone):
            self.reader.recent.clear()
        for kept in opened(self.fitted).values():
            kept.reranking.clear()

    def afresh(self) -> Reranked:
        """The same models and counts, with nobody in memory. See `Whole.afresh`."""
        reader = self.reader.afresh() if isinstance(self.reader, Joint | Backbone) else self.reader
        return replace(self, reader=reader, fitted=afresh(self.fitted, _afresh), shelves=NewestShelf())

    def as_fitted(self, n_items: int) -> Reranked:
        """The same without the items that were added since the fit."""
        reader = self.reader
        if isinstance(reader, Joint) and reader.added:
            reader = Joint(reader.joined, device=reader.device)
        return replace(self, reader=reader, titles=self.titles[:n_items])


def _unhurried(kept: Kept) -> Kept:
    return replace(kept, reranking=replace(kept.reranking, deadline_ms=None, batch_wait_ms=None, served=Served()))


def _afresh(kept: Kept) -> Kept:
    return replace(kept, reranking=kept.reranking.afresh())


class StagesBelow:
    """Latent and evidence of a whole, as a re-ranker meets them."""

    def __init__(self, whole: Whole, reranked: Reranked) -> None:
        evidence = whole.evidence
        assert evidence is not None, "a re-ranker stands on evidence"
        self._whole = whole
        kept = (reranked.reader, reranked.titles, reranked.history, reranked.shelves)
        self._maker = SlateMaker(whole.space, evidence, *kept)

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """The best k items by latent and evidence."""
        whole = self._whole
        # By the vectors that slates are read with, whatever ranks by then.
        return rank_within(self._maker.space, whole.search, whole.evidence, queries, k)

    def slates(self, queries: Sequence[Query], found: Rankings) -> Slates:
        """What is known of these items."""
        return self._maker.of(queries, found)

    @property
    def shelf(self) -> Shelf:
        """What is known of all items."""
        return self._maker.shelf

    def learn(self, events: Events) -> None:
        """Count them."""
        self._whole.learn(events)

    def refined(
        self, reranking: Reranking, query: Query, scores: torch.Tensor, hidden: Mapping[int, list[Part]]
    ) -> tuple[torch.Tensor, str | None]:
        """(1, I) scores of one query with what re-ranking adds to the best C of them; and why it adds nothing, if so.

        scores: (1, I) of latent and evidence, -inf where an item is no candidate. hidden: facts that are not read.
        """
        found = Rankings(*best(scores, reranking.candidates))
        added = reranking.terms(self._maker.of([query], found, [hidden]), self.shelf)
        refined = scores.clone()
        places = found.items[0] != PADDING
        own = torch.from_numpy(found.items[0][places].astype("int64"))
        refined[0, own] += added.values[0][torch.from_numpy(places)]
        return refined, added.reasons[0]


def titles_of(items: pl.DataFrame) -> list[str]:
    """Titles of an item table, empty where there is none."""
    if TITLE not in items.columns:
        return [""] * len(items)
    return [title or "" for title in items[TITLE].to_list()]
