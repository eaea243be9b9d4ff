"""Scores taken apart: the parts of one item's score, the facts behind it, and what would be without some of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from dynmm.assembly.books import Books
from dynmm.assembly.viewing import audience_of
from dynmm.assembly.whole import Whole, whole_of
from dynmm.assembly.without import Asker, Without, check_nameable, note_idle, without_of
from dynmm.config import Config
from dynmm.errors import DataError, UnsupportedByData
from dynmm.evidence.gathering import Gathered, Names, gather, hidden
from dynmm.evidence.reading import Hidden
from dynmm.evidence.settings import EvidenceSettings
from dynmm.evidence.store import EvidenceStore
from dynmm.evidence.system import latent_scores
from dynmm.factids import FactId
from dynmm.interactions.fields import BRAND, YEAR
from dynmm.interactions.itemtable import stacked
from dynmm.language.writing import WritingReport
from dynmm.rationale.reading import read_rationale
from dynmm.rationale.settings import RationaleSettings
from dynmm.rationale.verification import Verification, verify
from dynmm.rationale.writing import write
from dynmm.recommender import Recommender
from dynmm.system import Query, Rankings
from dynmm.topk import best, mask
from dynmm.types import Explained, Explanation, Rationale, Recommendation, UserHistory, WhatIf


@dataclass(frozen=True, eq=False)
class Explainer:
    """A recommender that takes its scores apart. Reading changes nothing."""

    whole: Whole
    store: EvidenceStore
    settings: EvidenceSettings
    rationale: RationaleSettings

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """As `System.rank`."""
        return self.whole.rank(queries, k)

    def explain(self, query: Query, item: int, user: str | None = None) -> Explained:
        """The parts of one dense item's score. user: who asks, never counted among the people of a fact."""
        return self._explained(query, item, user, Without())

    def explain_without(
        self, query: Query, item: int, evidence: Sequence[str], sources: Sequence[int], user: str | None = None
    ) -> Explained:
        """The same with everything recomputed as if these were not there.

        evidence: ids of facts. sources: dense items of the history; they stay no candidates. Raises DataError for an
        id that names no fact.
        """
        facts = tuple(FactId.parse(one) for one in evidence)
        return self._explained(query, item, user, Without(facts, tuple(int(one) for one in sources)))

    def rank_without(self, query: Query, k: int, without: Without) -> Rankings:
        """The best k items of one query as if some of its facts and history items were not there."""
        scores, reason = self._final(query, self._below(query, without), without)
        return Rankings(*best(scores, k), degraded=[reason])

    def scores(self, query: Query, without: Without) -> torch.Tensor:
        """(1, I) by all stages as if some facts and history items were not there; -inf for what is no candidate."""
        return self._final(query, self._below(query, without), without)[0]

    def _explained(self, query: Query, item: int, user: str | None, without: Without) -> Explained:
        below = self._below(query, without)
        (scores,), reason = self._final(query, below, without)
        rest = _less(query, without.sources)
        latent = float(latent_scores(self.whole.space, [rest])[0, item])
        found, as_of = self._gathered(rest, item, user, without)
        own = float(scores[item])
        ahead = int(((scores > own) | ((scores == own) & (torch.arange(len(scores)) < item))).sum())
        contributions = {"latent": latent, "evidence": found.total}
        if self.whole.reranking is not None:
            # What is no candidate is not looked at.
            contributions["rerank"] = own - float(below[0, item]) if np.isfinite(own) else 0.0
        return Explained(
            item=self.store.items.decode(item),
            score=sum(contributions.values()),
            rank=ahead + 1 if np.isfinite(own) else 0,
            contributions=contributions,
            evidence=found.evidence,
            rest=found.rest,
            as_of_offset=as_of,
            rest_raises=found.rest_raises,
            degraded=reason,
        )

    def check(self, facts: Iterable[FactId], query: Query, user: str | None) -> None:
        """Refuse facts that the view may not name to this user. Raises as `check_nameable`."""
        had = frozenset(map(self.store.items.decode, query.history.items.tolist()))

        def unions(item: str) -> frozenset[str]:
            told = self._gathered(query, self.store.items.encode(item), user, Without())[0].evidence
            return frozenset(one.id for one in told if one.kind == "union")

        check_nameable(facts, self.store, self.rationale, Asker(user, had, unions))

    def _gathered(self, rest: Query, item: int, user: str | None, without: Without) -> tuple[Gathered, int]:
        """The evidence for one dense item, and the offset as of which its facts are told."""
        audience = audience_of(self.store.items.decode(item), self.store, self.rationale)
        as_of, names = audience.reads(self.store), Names(self.store.items.ids, user)
        if self.whole.evidence is None:
            return Gathered((), 0.0, 0.0, 0.0), as_of
        score, facts = self.whole.evidence, without.facts
        return gather(score, rest, item, names, self.store, self.settings, audience, facts), as_of

    def _below(self, query: Query, without: Without) -> torch.Tensor:
        """(1, I) latent and evidence, -inf where an item is no candidate."""
        rest = _less(query, without.sources)
        scores = latent_scores(self.whole.space, [rest])
        if self.whole.evidence is not None:
            scores = scores + torch.from_numpy(self.whole.evidence.scores([rest]))
            for item, parts in self._hidden(rest, without).items():
                scores[0, item] -= sum(part.amount for part in parts)
        return mask(scores, [query])

    def _final(self, query: Query, below: torch.Tensor, without: Without) -> tuple[torch.Tensor, str | None]:
        """(1, I) with what re-ranking adds, and why it adds nothing where it was asked and did not answer."""
        chosen = self.whole.reranking
        if chosen is None:
            return below, None
        rest = _less(query, without.sources)
        return self.whole.below().refined(chosen, rest, below, self._hidden(rest, without))

    def _hidden(self, rest: Query, without: Without) -> Hidden:
        if not without.facts or self.whole.evidence is None:
            return {}
        dense = {fact: self.store.items.encode(fact) for fact in _named_items(without.facts, self.store)}
        return hidden(self.whole.evidence, rest, without.facts, dense)


def explainer_of(recommender: Recommender, view: str | None = None, k: int | None = None) -> Explainer:
    """How a recommender explains to a view at one k, by default to the configured ones.

    Raises UnsupportedByData for a published model, which has no log, and ConfigError for a k that cannot be.
    """
    told, settings = _told_to(recommender, view, k), Config.of(recommender.facts["config"]).evidence
    if told.view == "public":
        # What is too small to be told by itself is told together.
        settings = settings.model_copy(update={"group_below": max(settings.group_below, told.k)})
    return Explainer(whole_of(recommender), store_of(recommender), settings, told)


def store_of(recommender: Recommender) -> EvidenceStore:
    """The facts that a run's claims are checked against. Raises UnsupportedByData for a published model."""
    whole, books = whole_of(recommender), need_log(recommender)
    table = recommender.known.item_table
    if recommender.added is not None:
        table = stacked(table, recommender.added)
    terms = whole.evidence.terms if whole.evidence is not None else None
    settings = Config.of(recommender.facts["config"]).evidence
    return EvidenceStore(
        ledger=books.ledger,
        likeness=() if terms is None else terms.likeness,
        attributes=whole.attributes(table),
        items=recommender.items,
        users=recommender.users,
        taken=_taken(recommender, books),
        titles=recommender.titles,
        years=tuple(table[YEAR].to_list()),
        brands=tuple(table[BRAND].to_list()),
        pairs=settings.pairs,
        known_until=recommender.known_until,
    )


def need_log(recommender: Recommender) -> Books:
    """The log that claims are checked against. Raises UnsupportedByData for a published model, which has none."""
    books = whole_of(recommender).books
    if books is None:
        raise UnsupportedByData(
            "a published model knows no events, so no claim can be checked against them; explain with the run itself"
        )
    return books


def offset_of(recommender: Recommender) -> int | None:
    """Events in the log now; None for a published model, which has none."""
    books = whole_of(recommender).books
    return None if books is None else books.ledger.offset


def one_request(recommender: Recommender) -> Recommender:
    """The same for one request, in which the re-ranker is asked each question once. See `Whole.for_one_request`."""
    twin = copy.copy(recommender)
    twin.system = whole_of(recommender).for_one_request()
    return twin


def explained_items(
    recommender: Recommender,
    query: Query,
    items: Iterable[Recommendation],
    user: str | None,
    without: Sequence[str],
    view: str | None = None,
) -> list[Recommendation]:
    """The same recommendations with the parts of their scores and with reasons. view: None as configured.

    Raises UnknownIdError, and UnsupportedByData for a fact that the view may not name.
    """
    explainer = explainer_of(recommender, view)
    gone = without_of(recommender, without)
    explainer.check(gone.facts, query, user)
    ids = [fact.text for fact in gone.facts]
    found = []
    for one in items:
        item = recommender.items.encode(one.item)
        explained = explainer.explain_without(query, item, ids, gone.sources, user)
        told = _told(recommender, explainer, explained, user)
        found.append(replace(one, explained=explained, rationale=told))
    return found


def explanation_of(
    recommender: Recommender, query: Query, item: int, user: str | None, without: Sequence[str], view: str | None
) -> Explanation:
    """Why one dense item stands where it stands, and what would be without some facts or history items.

    Raises as `explained_items`.
    """
    explainer = explainer_of(recommender, view)
    gone = without_of(recommender, without)
    note_idle(gone, recommender, query, item)
    explainer.check(gone.facts, query, user)
    explained = explainer.explain(query, item, user)
    told = _told(recommender, explainer, explained, user)
    if not gone:
        return Explanation(explained, told)
    ids = [fact.text for fact in gone.facts]
    after = explainer.explain_without(query, item, ids, gone.sources, user)
    return Explanation(explained, told, WhatIf(tuple(without), explained, after))


def _told(recommender: Recommender, explainer: Explainer, explained: Explained, user: str | None) -> Rationale:
    """The reasons in sentences, the language model's where there is one that writes."""
    info, settings = recommender.known.info, explainer.rationale
    plain = write(explained, explainer.store, info, settings, user)
    voice = whole_of(recommender).voice
    if voice is None:
        return plain

    def holds(told: Rationale) -> bool:
        return verify(told.as_json(), explainer.store, info, settings).holds

    return voice.worded(plain, info, holds)[0]


def writing_of(recommender: Recommender) -> WritingReport | None:
    """How many reasons its language model has worded since it was loaded; None where none writes."""
    voice = whole_of(recommender).voice
    return None if voice is None else voice.report


def ranked_without(
    recommender: Recommender, query: Query, k: int, without: Sequence[str], user: str, view: str | None = None
) -> Rankings:
    """The best k items as if some facts and history items were not there. Raises as `explained_items`."""
    gone = without_of(recommender, without)
    note_idle(gone, recommender, query)
    if not gone.facts:
        return whole_of(recommender).rank([_less(query, gone.sources)], k)
    explainer = explainer_of(recommender, view)
    explainer.check(gone.facts, query, user)
    return explainer.rank_without(query, k, gone)


def verified(
    recommender: Recommender,
    rationale: Mapping[str, object],
    without: Sequence[str] = (),
    exclude: Sequence[str] = (),
    exclude_history: bool = True,
    offset: int | None = None,
) -> Verification:
    """Every claim of a RATIONALE recomputed from the log, and held to the score where that can be had.

    without: what the rationale was written without. exclude, exclude_history: what was no candidate then, which leaves
    others to a re-ranker. offset: events in the log then; None where that is not known, for a public rationale is as
    of its item's release. Raises DataError where it cannot be read, UnknownIdError, and UnsupportedByData for a fact
    that its view may not name.
    """
    settings, store = Config.of(recommender.facts["config"]).rationale, store_of(recommender)
    if offset is not None and not store.ledger.n_fitted <= offset <= store.offset:
        raise DataError(
            f"offset {offset:,} is none of this run, whose log reaches from {store.ledger.n_fitted:,}, the end of the "
            f"fit, to {store.offset:,}"
        )
    told, gone = read_rationale(rationale), without_of(recommender, without)
    score = None
    # For a session, whose history is not kept, and where the log has gone on since, there is no score: it is of now.
    known = told.user in recommender.users and told.item in recommender.items
    if told.user is not None and known and store.offset in (told.as_of_offset, offset):
        query = recommender.query_of(told.user, exclude, exclude_history)
        score = _score_behind(recommender, told, gone, query)
        # A public rationale of an earlier release may have been written then, unless it is said that it was not.
        if score.as_of_offset != told.as_of_offset and offset != store.offset:
            score = None
    return verify(rationale, store, recommender.known.info, settings, score)


def _score_behind(recommender: Recommender, told: Rationale, gone: Without, query: Query) -> Explained:
    """The score that a rationale of now speaks of, computed anew."""
    explainer = explainer_of(recommender, told.view)
    explainer.check(gone.facts, query, told.user)
    ids, item = [fact.text for fact in gone.facts], recommender.items.encode(told.item)
    return explainer.explain_without(query, item, ids, gone.sources, told.user)


def _told_to(recommender: Recommender, view: str | None, k: int | None = None) -> RationaleSettings:
    """How rationales are written for a view. Raises ConfigError for none, or one that the k forbids."""
    config = Config.of(recommender.facts["config"])
    asked = {name: value for name, value in {"view": view, "k": k}.items() if value is not None}
    return Config.of({"rationale": config.rationale.model_dump(mode="json") | asked}).rationale


def _less(query: Query, sources: Sequence[int]) -> Query:
    """The query without some items in its history; they stay no candidates."""
    if not len(sources):
        return query
    history = query.history
    kept = ~np.isin(history.items, np.asarray(sources))
    times = None if history.timestamps is None else history.timestamps[kept]
    return replace(query, history=UserHistory(history.items[kept], times))


def _named_items(facts: Iterable[FactId], store: EvidenceStore) -> set[str]:
    named = {one for fact in facts for one in (fact.item, *fact.sources)}
    return {one for one in named if one in store.items}


def _taken(recommender: Recommender, books: Books) -> Callable[[int, int], frozenset[int]]:
    known = recommender.known

    def taken(user: int, as_of: int) -> frozenset[int]:
        fitted = known.history(user).items.tolist() if user < known.n_users else []
        return frozenset(fitted) | books.taken(user, as_of)

    return taken
