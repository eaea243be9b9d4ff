"""What is to be left out, by name: items of a history and ids of facts, and which facts a view lets anyone name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from dynmm.errors import DataError, UnknownIdError, UnsupportedByData
from dynmm.factids import FactId
from dynmm.protocols import FactStore
from dynmm.rationale.claims import may_be_told
from dynmm.rationale.settings import RationaleSettings
from dynmm.recommender import Recommender
from dynmm.system import Query

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Without:
    """What is not to be used. facts: as named. sources: dense items of the history."""

    facts: tuple[FactId, ...] = ()
    sources: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.facts or self.sources)


def without_of(recommender: Recommender, named: Sequence[str]) -> Without:
    """Items of the catalogue and ids of facts, told apart.

    Raises UnknownIdError for what is neither, and for a fact that names an item which this run has never seen.
    """
    facts, sources = [], []
    for one in named:
        if one in recommender.items:
            sources.append(recommender.items.encode(one, what="item"))
            continue
        try:
            fact = FactId.parse(one)
        except DataError as error:
            raise UnknownIdError(f"{one!r} is neither an item of this run nor the id of a fact: {error}") from error
        for item in (fact.item, *fact.sources):
            if item not in recommender.items:
                raise UnknownIdError(f"{one!r} names the item {item!r}, which this run has never seen; copy ids whole")
        facts.append(fact)
    return Without(tuple(facts), tuple(sources))


def note_idle(gone: Without, recommender: Recommender, query: Query, item: int | None = None) -> None:
    """Warn of what cannot be in use: items that are not in the history, facts that start from such, and where one item
    is asked about, facts of another. item: dense."""
    had = {recommender.items.decode(one) for one in query.history.items.tolist()}
    asked = None if item is None else recommender.items.decode(item)
    idle = [one for one in map(recommender.items.decode, gone.sources) if one not in had]
    for fact in gone.facts:
        if (fact.sources and not had & set(fact.sources)) or asked not in (None, fact.item):
            idle.append(fact.text)
    if idle:
        logger.warning(
            "leaving out %s changes nothing: it starts from no item of the history, or speaks for another "
            "item than was asked about",
            ", ".join(idle),
        )


@dataclass(frozen=True, eq=False)
class Asker:
    """Who names facts. user: None for nobody known. had: outside ids of their history. unions: the ids of those that
    their evidence for an item tells."""

    user: str | None
    had: frozenset[str]
    unions: Callable[[str], frozenset[str]]


def check_nameable(facts: Iterable[FactId], store: FactStore, settings: RationaleSettings, asker: Asker) -> None:
    """Refuse to leave out facts that the view may not tell, or not to the one who asks: what follows would tell of
    them, and so would it whether they are refused.

    settings: of the view. Raises UnsupportedByData, in the same words whether there is no such fact, too few people
    stand behind it, or it is another's; and for the operator UnknownIdError for a trend of another moment than now,
    which is no part of the score.
    """
    if settings.view == "operator":
        _check_moments(facts, store)
        return
    for fact in facts:
        if not _nameable(fact, store, settings, asker):
            raise UnsupportedByData(
                f"{fact.text!r} cannot be named in the public view, which leaves out only facts that it may tell of "
                "your own history: name one that a rationale cites, a whole item of the history, or ask in the "
                "operator's view"
            )


def _nameable(fact: FactId, store: FactStore, settings: RationaleSettings, asker: Asker) -> bool:
    if not asker.had.issuperset(fact.sources):
        return False
    if fact.kind == "union":
        # Of a union made up by the asker the answer would be yes from k people on: two that differ by an item whom a
        # single person took tell what else that person took.
        return fact.text in asker.unions(fact.item)
    as_of = store.released(fact.item, settings.release_every)
    stored = store.fact(fact, as_of, asker.user)
    of_now = fact.kind != "trend" or fact.moment == store.moment(as_of)
    return stored is not None and of_now and may_be_told(fact, stored, settings, store.n_items)


def _check_moments(facts: Iterable[FactId], store: FactStore) -> None:
    now = store.moment(store.offset)
    for fact in facts:
        if fact.kind == "trend" and fact.moment != now:
            right = "there is none" if now is None else f"the trend of now is {replace(fact, value=str(now)).text!r}"
            raise UnknownIdError(f"{fact.text!r} is up to another moment than now; {right}")
