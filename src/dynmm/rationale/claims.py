"""From the parts of a score to what may be claimed: strongest first, merged where one clause tells several facts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dynmm.factids import KINDS_OF_PEOPLE, FactId
from dynmm.interactions.fields import TITLE_WORD
from dynmm.rationale.functionwords import says_nothing
from dynmm.rationale.grounds import Grounds, likeness
from dynmm.rationale.privacy import counted
from dynmm.rationale.settings import RationaleSettings
from dynmm.rationale.shown import shown_value
from dynmm.rationale.wording import sentences_of
from dynmm.types import Evidence, Explained

#: A union tells less of each item than a pair does: pairs that a union covers count so much in it.
_PAIR_IN_UNION = 0.5

Raising = Mapping[FactId, Evidence]


@dataclass(frozen=True)
class Draft:
    """A claim that could be made. covers: facts whose contributions it tells; a union covers the pairs within it."""

    grounds: Grounds
    covers: frozenset[FactId]

    @property
    def name(self) -> tuple[str, ...]:
        """Orders drafts of equal worth."""
        return tuple(fact.text for fact in self.grounds.ids)


def raising(explained: Explained) -> dict[FactId, Evidence]:
    """The facts that raise the score, by id, and the unions of such. The others are no reasons.

    A union's own contribution is that of the pairs that are not in the evidence by themselves. It may be zero.
    """
    parsed = ((FactId.parse(one.id), one) for one in explained.evidence)
    return {
        fact: one for fact, one in parsed if one.contribution > 0.0 or (fact.kind == "union" and one.contribution == 0)
    }


def drafts(facts: Raising, settings: RationaleSettings, n_items: int) -> list[Draft]:
    """Every claim that the view may make of these facts.

    n_items: see `FactStore.n_items`, for the share of them that has an attribute value.
    """
    may = {fact: one for fact, one in facts.items() if may_be_told(fact, one.facts, settings, n_items)}
    told = [*_pairs(may), *_attributes(may)]
    for fact, one in may.items():
        if fact.kind in ("alike", "trend", "taken", "union"):
            covers = {fact} if fact.kind != "union" else {fact, *_within(fact, facts)}
            told.append(Draft(Grounds(fact.kind, (fact,), (one.facts,)), frozenset(covers)))
    return told


def may_be_told(fact: FactId, stored: Mapping[str, Any], settings: RationaleSettings, n_items: int) -> bool:
    """Whether a fact is a reason that the view may give: enough people, a rare enough value, a true likeness.

    That neither has something, a value of false, is none, nor is a value that `says_nothing`. stored: what the store
    has of it.
    """
    if fact.item in fact.sources:
        return False  # an item is like itself, which is no reason
    if fact.kind in KINDS_OF_PEOPLE:
        return counted("users", stored["users"], settings) is not None
    if fact.kind == "attribute":
        value = stored["value"]
        if value is False or shown_value(value) == "" or says_nothing(value, of_title=fact.name == TITLE_WORD):
            return False
        return bool(1 < stored["items"] <= settings.largest_share * n_items)
    return likeness(stored["cosine"], settings) is not None


def _pairs(facts: Raising) -> list[Draft]:
    """Followed and together of the same two items make one claim, where the first is a part of the second."""
    made: list[Draft] = []
    merged: set[FactId] = set()
    for fact, one in facts.items():
        if fact.kind == "followed":
            wide = FactId("together", fact.item, fact.sources)
            ids = (fact, wide) if wide in facts and one.facts["users"] <= facts[wide].facts["users"] else (fact,)
            made.append(Draft(Grounds("followed", ids, tuple(facts[each].facts for each in ids)), frozenset(ids)))
            merged.update(ids)
    alone = [fact for fact in facts if fact.kind == "together" and fact not in merged]
    return made + [Draft(Grounds("together", (one,), (facts[one].facts,)), frozenset({one})) for one in alone]


def _attributes(facts: Raising) -> list[Draft]:
    """One claim for the values of one attribute that the same sources share."""
    sources: dict[tuple[str, str], list[FactId]] = {}
    for fact in sorted((one for one in facts if one.kind == "attribute"), key=lambda one: _order(one, facts)):
        sources.setdefault((fact.name, fact.value), []).append(fact)
    groups: dict[tuple[str, frozenset[str]], list[list[FactId]]] = {}
    for (name, _), ids in sources.items():
        groups.setdefault((name, frozenset(fact.sources[0] for fact in ids)), []).append(ids)
    made = []
    for values in groups.values():
        order = [fact.sources[0] for fact in values[0]]
        ids = [fact for value in values for fact in sorted(value, key=lambda one: order.index(one.sources[0]))]
        made.append(Draft(Grounds("attribute", tuple(ids), tuple(facts[one].facts for one in ids)), frozenset(ids)))
    return made


def _order(fact: FactId, facts: Raising) -> tuple[float, str]:
    return -facts[fact].contribution, fact.text


def _within(union: FactId, facts: Raising) -> Iterable[FactId]:
    starts = set(union.sources)
    return (one for one in facts if one.kind in ("followed", "together") and one.sources[0] in starts)


def worth(covers: Iterable[FactId], facts: Raising) -> float:
    """What facts add to the score together; the order in which they come does not matter."""
    return math.fsum(facts[fact].contribution for fact in covers)


def chosen(offered: Sequence[Draft], facts: Raising, settings: RationaleSettings) -> list[Draft]:
    """The claims to make, strongest first, each counted by what those before it do not tell already."""
    made: list[Draft] = []
    told: set[FactId] = set()

    def rank(draft: Draft) -> tuple[float, tuple[str, ...]]:
        fresh, cited = draft.covers - told, set(draft.grounds.ids)
        return -worth(fresh & cited, facts) - _PAIR_IN_UNION * worth(fresh - cited, facts), draft.name

    while len(made) < settings.claims:
        kinds = [draft.grounds.kind for draft in made]
        fits = [one for one in offered if sentences_of([*kinds, one.grounds.kind]) <= settings.sentences]
        best = min(fits, key=rank, default=None)
        if best is None or rank(best)[0] >= 0.0:
            break
        made.append(best)
        told |= best.covers
    return made


def share_told(covers: Iterable[FactId], explained: Explained) -> float:
    """The share of the evidence term's positive part that these facts carry, 0 to 1."""
    whole = positive_part(explained)
    return min(1.0, worth(set(covers), raising(explained)) / whole) if whole > 0.0 else 0.0


def positive_part(explained: Explained) -> float:
    """What raises the score within the evidence term; what lowers it is not taken off."""
    return math.fsum([*(one.contribution for one in raising(explained).values()), untold(explained)])


def untold(explained: Explained) -> float:
    """What raises the score beyond the facts that can be told."""
    return max(0.0, explained.rest) if explained.rest_raises is None else explained.rest_raises


def tellable_share(explained: Explained, settings: RationaleSettings, n_items: int) -> float:
    """The share of the evidence term's positive part that the view could tell, if it told all."""
    every = drafts(raising(explained), settings, n_items)
    return share_told(frozenset[FactId]().union(*(draft.covers for draft in every)), explained)
