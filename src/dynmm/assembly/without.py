"""What is to be left out, by name: items of a history and ids of facts, and which facts a view lets anyone name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dynmm.errors import DataError, UnknownIdError, UnsupportedByData
from dynmm.factids import FactId
from dynmm.protocols import FactStore
from dynmm.rationale.claims import may_be_told
from dynmm.rationale.settings import RationaleSettings
from dynmm.recommender import Recommender


@dataclass(frozen=True)
class Without:
    """What is not to be used. facts: as named. sources: dense items of the history."""

    facts: tuple[FactId, ...] = ()
    sources: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.facts or self.sources)


def without_of(recommender: Recommender, named: Sequence[str]) -> Without:
    """Items of the catalogue and ids of facts, told apart. Raises UnknownIdError for what is neither."""
    facts, sources = [], []
    for one in named:
        if one in recommender.items:
            sources.append(recommender.items.encode(one, what="item"))
            continue
        try:
            facts.append(FactId.parse(one))
        except DataError as error:
            raise UnknownIdError(f"{one!r} is neither an item of this run nor the id of a fact: {error}") from error
    return Without(tuple(facts), tuple(sources))


def check_nameable(facts: Iterable[FactId], store: FactStore, settings: RationaleSettings, user: str | None) -> None:
    """Refuse to leave out facts that the view may not tell: what follows would tell of them.

    settings: of the view. user: who asks. Raises UnsupportedByData, in the same words whether there is no such fact or
    too few people stand behind it.
    """
    if settings.view == "operator":
        return
    for fact in facts:
        as_of = store.released(fact.item, settings.release_every)
        stored = store.fact(fact, as_of, user)
        of_now = fact.kind != "trend" or fact.moment == store.moment(as_of)
        if stored is None or not of_now or not may_be_told(fact, stored, settings, store.n_items):
            raise UnsupportedByData(
                f"{fact.text!r} cannot be named in the public view, which leaves out only facts that it may tell: name "
                "one that a rationale cites, a whole item of the history, or ask in the operator's view"
            )
