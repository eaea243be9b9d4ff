"""From parts of a score to facts that can be told: the evidence of one item for one user.

Facts about people are told one by one where enough people stand behind each; those of the other history items are
told together, as a union: so many distinct people took at least one of them and the item. The operator's union names
those that add most. The public's names the newest of the history whose own pair few people stood behind at the release,
nobody among them: whether any one person stands behind a pair must not be read from what is named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dynmm.evidence.parts import Part
from dynmm.evidence.reading import Hidden
from dynmm.evidence.score import EvidenceScore
from dynmm.evidence.settings import EvidenceSettings
from dynmm.factids import FactId, value_text
from dynmm.protocols import FactStore
from dynmm.system import Query
from dynmm.types import Evidence

#: History items that a union names, at most: the others stay in the remainder.
_UNITED = 20


@dataclass(frozen=True, eq=False)
class Names:
    """Outside ids of dense items, and the user who asks, where known."""

    item: Sequence[str]
    user: str | None = None


@dataclass(frozen=True, eq=False)
class Audience:
    """Who is told. tells: whether they may be told a fact, given what is stored of it. released: for the public the
    offset of the item's release, as of which facts are looked up; None for the operator, who reads those of now."""

    tells: Callable[[FactId, Mapping[str, Any]], bool]
    released: int | None = None

    def reads(self, store: FactStore) -> int:
        """The offset as of which facts are looked up."""
        return store.offset if self.released is None else self.released


@dataclass(frozen=True, eq=False)
class _Uniting:
    """What a union is made of. below: a pair of fewer people is told in it. apart: dense sources that are not, for
    what the union would tell of them is left out. then: for the public, people of the pair with each item of the
    history at the release, newest item first; None for the operator."""

    below: int
    apart: frozenset[int]
    then: Mapping[int, int] | None


@dataclass(frozen=True)
class Gathered:
    """evidence: what can be told, strongest first. total: the whole evidence term. rest: total less what is told.
    rest_raises: what raises the score less what is told, at least 0."""

    evidence: tuple[Evidence, ...]
    total: float
    rest: float
    rest_raises: float


def gather(
    score: EvidenceScore,
    query: Query,
    item: int,
    names: Names,
    store: FactStore,
    settings: EvidenceSettings,
    audience: Audience,
    without: Iterable[FactId] = (),
) -> Gathered:
    """The evidence for one dense item.

    without: facts that do not count. What facts add to the score is of now, whoever is told. A trend counts up to the
    store's moment at the offset as of which facts are looked up. Facts that the store does not bear out, and those that
    lower the score, are in the rest.
    """
    gone = [fact for fact in without if fact.item == names.item[item]]
    dense = {names.item[one]: one for one in (*np.unique(query.history.items).tolist(), item)} if gone else {}
    parts = [part for part in score.parts(query, item) if not any(_means(fact, part, score, dense) for fact in gone)]
    total = float(sum(part.amount for part in parts))
    recent = query.history.items[-score.terms.pairs.settings.window :][::-1].tolist()
    pairs = {one: FactId("together", names.item[item], (names.item[one],)) for one in recent}
    rules = _Uniting(settings.group_below, _apart(pairs, gone), _then(pairs, names, store, audience))
    named = _named(score, parts, item, names, rules, store.moment(audience.reads(store)))
    evidence = _told(sorted(named, key=lambda one: (-one[1], one[0].text)), names, store, settings.told, audience)
    known = sum(one.contribution for one in evidence)
    raises = sum(part.amount for part in parts if part.amount > 0)
    return Gathered(evidence, total, float(total - known), max(0.0, float(raises - known)))


def _apart(pairs: Mapping[int, FactId], gone: Iterable[FactId]) -> frozenset[int]:
    """Items of the history whose people are left out, each by itself or within a union. pairs: by dense source."""
    out = {source for fact in gone if fact.kind in ("together", "union") for source in fact.sources}
    return frozenset(one for one, fact in pairs.items() if fact.sources[0] in out)


def _then(pairs: Mapping[int, FactId], names: Names, store: FactStore, audience: Audience) -> dict[int, int] | None:
    """People of each pair as the public reads them, in the order given; None for the operator."""
    if audience.released is None:
        return None
    stored = {one: store.fact(fact, audience.released, names.user) for one, fact in pairs.items()}
    return {one: fact["users"] if fact else 0 for one, fact in stored.items()}


def _told(
    found: Sequence[tuple[FactId, float]], names: Names, store: FactStore, most: int, audience: Audience
) -> tuple[Evidence, ...]:
    """The strongest facts that may be told, so many at most. The operator reads the strongest of all beside them.

    found: strongest first.
    """
    as_of = audience.reads(store)
    told: list[Evidence] = []
    places = most
    for fact, amount in found:
        if not places:
            break
        stored = store.fact(fact, as_of, names.user)
        if stored is None:
            continue
        may = audience.tells(fact, stored)
        places -= may
        if may or (audience.released is None and len(told) < most):
            told.append(Evidence(fact.text, fact.kind, fact.item, fact.sources, dict(stored), amount))
    return tuple(told)


def hidden(score: EvidenceScore, query: Query, facts: Iterable[FactId], dense: Mapping[str, int]) -> Hidden:
    """By dense item: the parts of its evidence that these facts are, or hold.

    dense: of outside ids. Facts that are none for this query hide nothing.
    """
    by_item: dict[int, list[FactId]] = defaultdict(list)
    for fact in facts:
        if fact.item in dense:
            by_item[dense[fact.item]].append(fact)
    return {
        item: [part for part in score.parts(query, item) if any(_means(fact, part, score, dense) for fact in gone)]
        for item, gone in by_item.items()
    }


def _means(fact: FactId, part: Part, score: EvidenceScore, dense: Mapping[str, int]) -> bool:
    """Whether a fact is, or a union holds, this part."""
    sources = {dense.get(source, -1) for source in fact.sources}
    if fact.kind == "union":
        return part.kind in ("followed", "together") and part.source in sources
    if fact.kind != part.kind:
        return False
    if part.source < 0:
        return fact.name == part.name
    if part.source not in sources:
        return False
    if fact.kind == "attribute":
        value = score.terms.attributes.values[part.value][1]
        return (fact.name, fact.value) == (part.name, value_text(value))
    return fact.kind != "alike" or fact.name == part.name


def _named(
    score: EvidenceScore, parts: Sequence[Part], item: int, names: Names, rules: _Uniting, moment: int | None
) -> list[tuple[FactId, float]]:
    """Facts that raise the score, with what they add.

    moment: up to which a trend counts, ms UTC; None where the store has no times.
    """
    own = names.item[item]
    found: list[tuple[FactId, float]] = []
    people: dict[int, dict[str, float]] = defaultdict(dict)
    for part in parts:
        if part.kind in ("followed", "together"):
            people[part.source][part.kind] = part.amount
        elif part.amount <= 0:
            continue
        elif part.kind == "trend":
            assert moment is not None, "without a moment there is no trend"
            found.append((FactId.trend(int(part.name), moment, own), part.amount))
        elif part.kind == "taken":
            found.append((FactId("taken", own), part.amount))
        elif part.kind == "alike":
            found.append((FactId("alike", own, (names.item[part.source],), part.name), part.amount))
        elif part.kind == "attribute":
            value = score.terms.attributes.values[part.value][1]
            found.append((FactId.attribute(part.name, value, names.item[part.source], own), part.amount))
    found += _people(score, people, item, names, rules)
    return found


def _people(
    score: EvidenceScore, people: dict[int, dict[str, float]], item: int, names: Names, rules: _Uniting
) -> list[tuple[FactId, float]]:
    if not people:
        return []
    own, behind = names.item[item], rules.then
    if behind is None:
        counts = score.terms.pairs.between(np.asarray(list(people)), np.asarray([item])).users[:, 0]
        behind = dict(zip(people, counts.tolist(), strict=True))
    # An item that was taken before is no reason for itself, which within a union would stand for all of it.
    few = [one for one in behind if behind[one] < rules.below and one != item and one not in rules.apart]
    adds = {source: sum(people.get(source, {}).values()) for source in few}
    if rules.then is None:
        few = sorted((one for one in few if adds[one] > 0), key=lambda source: (-adds[source], source))
    named = few[:_UNITED]
    alone = [source for source in people if source not in adds or named == [source]]
    found = [(FactId(kind, own, (names.item[one],)), amount) for one in alone for kind, amount in people[one].items()]
    if len(named) > 1:
        found.append((FactId("union", own, tuple(names.item[one] for one in named)), sum(adds[one] for one in named)))
    return [(fact, amount) for fact, amount in found if amount > 0]
