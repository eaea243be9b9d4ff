"""From parts of a score to facts that can be told: the evidence of one item for one user.

Facts about people are told one by one where enough people stand behind each; those of the other history items are
told together, as a union: so many distinct people took at least one of them and the item. As of an earlier moment a
union is made of those whom few stood behind then: what it names must not tell of anyone since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

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
class _Uniting:
    """What a union is made of. below: a pair of fewer people is told in it. apart: dense sources that are not, for
    what the union would tell of them is left out. then: people of each pair as of an earlier moment, None for now."""

    below: int
    apart: frozenset[int] = frozenset()
    then: Mapping[int, int] | None = None


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
    without: Iterable[FactId] = (),
    as_of: int | None = None,
) -> Gathered:
    """The evidence for one dense item.

    without: facts that do not count. as_of: the offset as of which facts are looked up, None for now; what they add
    to the score is of now. A trend counts up to the store's moment at that offset. Facts that the store does not bear
    out, and those that lower the score, are in the rest.
    """
    gone = [fact for fact in without if fact.item == names.item[item]]
    dense = {names.item[one]: one for one in (*np.unique(query.history.items).tolist(), item)} if gone else {}
    parts = [part for part in score.parts(query, item) if not any(_means(fact, part, score, dense) for fact in gone)]
    total = float(sum(part.amount for part in parts))
    offset = store.offset if as_of is None else as_of
    sources = {part.source for part in parts if part.kind in ("followed", "together")}
    together = {source: FactId("together", names.item[item], (names.item[source],)) for source in sources}
    uniting = _Uniting(settings.group_below, frozenset(one for one, fact in together.items() if fact in gone))
    if offset < store.offset:
        then = {one: store.fact(fact, offset, names.user) for one, fact in together.items()}
        uniting = replace(uniting, then={one: fact["users"] if fact else 0 for one, fact in then.items()})
    named = _named(score, parts, item, names, uniting, store.moment(offset))
    found = sorted(named, key=lambda one: (-one[1], one[0].text))
    told = settings.told
    evidence: list[Evidence] = []
    for fact, amount in found:
        if len(evidence) == told:
            break
        stored = store.fact(fact, offset, names.user)
        if stored is not None:
            evidence.append(Evidence(fact.text, fact.kind, fact.item, fact.sources, dict(stored), amount))
    known = sum(one.contribution for one in evidence)
    raises = sum(part.amount for part in parts if part.amount > 0)
    return Gathered(tuple(evidence), total, float(total - known), max(0.0, float(raises - known)))


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
    if fact.kind == "trend":
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
    own, sources = names.item[item], list(people)
    behind = rules.then
    if behind is None:
        counts = score.terms.pairs.between(np.asarray(sources), np.asarray([item])).users[:, 0]
        behind = dict(zip(sources, counts.tolist(), strict=True))
    found: list[tuple[FactId, float]] = []
    united: dict[int, float] = {}
    for source in sources:
        # An item that was taken before is no reason for itself, which within a union would stand for all of it.
        if behind[source] < rules.below and source != item and source not in rules.apart:
            united[source] = sum(people[source].values())
            continue
        found += [(FactId(kind, own, (names.item[source],)), amount) for kind, amount in people[source].items()]
    strongest = _strongest(united, rules.then)
    if len(strongest) == 1:
        lone = strongest[0]
        found += [(FactId(kind, own, (names.item[lone],)), amount) for kind, amount in people[lone].items()]
    elif strongest:
        ids = tuple(names.item[source] for source in strongest)
        found.append((FactId("union", own, ids), sum(united[source] for source in strongest)))
    return [(fact, amount) for fact, amount in found if amount > 0]


def _strongest(united: Mapping[int, float], then: Mapping[int, int] | None) -> list[int]:
    """The sources that a union names. As of an earlier moment, whom anybody stood behind then, by how many: what they
    add is of now, and would tell who came since."""
    raising = [source for source, amount in united.items() if amount > 0]
    if then is None:
        return sorted(raising, key=lambda source: (-united[source], source))[:_UNITED]
    return sorted((one for one in raising if then[one]), key=lambda source: (-then[source], source))[:_UNITED]
