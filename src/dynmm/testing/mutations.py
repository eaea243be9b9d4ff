"""Rationales made untrue. Each mutation changes one thing that the stores say otherwise, and says what it changed.

It is written from the stores and from what a rationale is, not from how one is verified: names of people's items,
numbers, ids, attributes and directions, in the facts, in the words, or in both at once so that they agree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dynmm.factids import FactId

if TYPE_CHECKING:
    from dynmm.protocols import FactStore

#: What a mutation changes.
SUBJECTS = ("name", "number", "id", "attribute", "direction")

Json = dict[str, Any]

_DAY_MS = 86_400_000

_NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Mutation:
    """A rationale that says something untrue.

    subject: one of `SUBJECTS`. what: in words. claim: place of the claim that was changed, None for the rationale
    itself. rationale: the JSON object after the change.
    """

    subject: str
    what: str
    claim: int | None
    rationale: Json


@dataclass(frozen=True)
class _Scene:
    """What a mutation is made from. user: who asks. items, users: of the stores, to take wrong ones from."""

    rationale: Json
    store: FactStore
    items: Sequence[str]
    users: Sequence[str]
    rng: np.random.Generator

    def pick(self, among: Sequence[Any]) -> Any:
        return among[int(self.rng.integers(len(among)))]

    def fact(self, fact: FactId) -> Mapping[str, Any] | None:
        return self.store.fact(fact, self.rationale["as_of_offset"], self.rationale["user"])


def mutations(
    rationale: Mapping[str, Any],
    store: FactStore,
    items: Sequence[str],
    users: Sequence[str],
    rng: np.random.Generator,
) -> list[Mutation]:
    """One mutation of every sort that the rationale gives room for. None where it makes no claim.

    rationale: as JSON, true of the store. items, users: ids that the store knows. rng: chooses what is put instead.
    """
    scene = _Scene(_copy(rationale), store, items, users, rng)
    made: list[Mutation] = []
    for place in range(len(rationale["claims"])):
        for subject, sort in _OF_A_CLAIM:
            made += [Mutation(subject, what, place, changed) for what, changed in sort(scene, place)]
    if made:
        made += [Mutation(subject, what, None, new) for subject, sort in _OF_THE_WHOLE for what, new in sort(scene)]
    return made


_Changed = Iterator[tuple[str, Json]]


def _names(scene: _Scene, place: int) -> _Changed:
    """Another item's title for one that is named: in the facts, in the words, in both."""
    titles = scene.rationale["claims"][place]["facts"].get("titles", [])
    if not titles:
        return
    number = int(scene.rng.integers(len(titles)))
    others = {scene.store.title(item) or item for item in scene.items}
    other = scene.pick(sorted(one for one in others if one.casefold() != titles[number].casefold()))
    for where in ("facts", "text", "both"):
        new = _copy(scene.rationale)
        if where != "text":
            new["claims"][place]["facts"]["titles"][number] = other
        if where != "facts":
            _reword(new, place, f"“{titles[number]}”", f"“{other}”")
        yield f"the title {titles[number]!r} became {other!r} in {where}", new


def _numbers(scene: _Scene, place: int) -> _Changed:
    """Another number: in the facts, in the words, in both. A public count only grows, for a lower one stays true."""
    facts = scene.rationale["claims"][place]["facts"]
    found = [(name, value) for name, value in facts.items() if _is_number(value) and name != "cosine"]
    for name, value in found:
        other = int(value * scene.pick((3, 10))) + int(scene.rng.integers(1, 50))
        for where in ("facts", "text", "both"):
            new = _copy(scene.rationale)
            if where != "text":
                new["claims"][place]["facts"][name] = other
            if where != "facts" and not _reword_number(new, place, value, other):
                continue
            yield f"{name} {value} became {other} in {where}", new
    if shared := facts.get("items"):
        new = _copy(scene.rationale)
        new["claims"][place]["facts"]["items"][0] = shared[0] + int(scene.rng.integers(1, 50))
        yield "another number of items", new
    if "cosine" in facts:
        new = _copy(scene.rationale)
        new["claims"][place]["facts"]["cosine"] = round(facts["cosine"] + scene.pick((-0.2, 0.0001, 0.2)), 4)
        yield "another cosine", new


def _ids(scene: _Scene, place: int) -> _Changed:
    """A fact that starts from another item or speaks for another, and the same in the ids of the facts."""
    claim = scene.rationale["claims"][place]
    number = int(scene.rng.integers(len(claim["evidence"])))
    fact = FactId.parse(claim["evidence"][number])
    involved = {fact.item, *(one for text in claim["evidence"] for one in FactId.parse(text).sources)}
    stranger = scene.pick([item for item in scene.items if item not in involved])
    elsewhere = _copy(scene.rationale)
    elsewhere["claims"][place]["evidence"][number] = FactId(
        fact.kind, stranger, fact.sources, fact.name, fact.value
    ).text
    yield f"the fact speaks for {stranger!r}", elsewhere
    if fact.kind == "trend":
        yield from _another_moment(scene, place, fact)
    if fact.sources:
        sources = (*fact.sources[:-1], stranger)
        cited = _copy(scene.rationale)
        cited["claims"][place]["evidence"][number] = FactId(fact.kind, fact.item, sources, fact.name, fact.value).text
        yield f"the fact starts from {stranger!r}", cited
        told = _copy(scene.rationale)
        told["claims"][place]["facts"]["sources"][-1] = stranger
        yield f"the claim starts from {stranger!r}", told
    if fact.sources and len(claim["evidence"]) == 1 and len(claim["facts"]["titles"]) == 1:
        yield from _whole_source(scene, place, fact, stranger)
    held = _copy(scene.rationale)
    held["claims"][place]["facts"]["item"] = stranger
    yield f"the claim speaks for {stranger!r}", held


def _another_moment(scene: _Scene, place: int, fact: FactId) -> _Changed:
    """A trend up to another moment than the rationale's: near it, where the counts may be the same, and long ago."""
    for moved in (1, -1, -fact.days * _DAY_MS):
        new = _copy(scene.rationale)
        new["claims"][place]["evidence"] = [FactId.trend(fact.days, fact.moment + moved, fact.item).text]
        yield f"the trend ends {moved} ms later", new


def _whole_source(scene: _Scene, place: int, fact: FactId, stranger: str) -> _Changed:
    """Another item for the source everywhere at once, where that is untrue: a public bucket may hold both."""
    other = FactId(fact.kind, fact.item, (stranger,), fact.name, fact.value)
    user, stored = scene.rationale["user"], scene.fact(other)
    had = user is None or scene.store.has(user, stranger, scene.rationale["as_of_offset"])
    exact = scene.rationale["view"] == "operator"
    if had and stored is not None and not (exact and stored != scene.fact(fact)):
        return
    new = _copy(scene.rationale)
    claim = new["claims"][place]
    old, title = claim["facts"]["titles"][0], scene.store.title(stranger) or stranger
    claim["evidence"] = [other.text]
    claim["facts"] |= {"sources": [stranger], "titles": [title]}
    _reword(new, place, f"“{old}”", f"“{title}”")
    if not any(old in one["facts"].get("titles", []) for one in new["claims"]):
        new["text"] = new["text"].replace(f"“{old}”", f"“{title}”")
    yield f"everything starts from {stranger!r}", new


def _attributes(scene: _Scene, place: int) -> _Changed:
    """A value or a word that does not hold: in the facts, in the words, in the id, in all of them."""
    claim = scene.rationale["claims"][place]
    if claim["kind"] == "alike":
        yield from _likeness(scene, place)
    if claim["kind"] != "attribute":
        return
    value = claim["facts"]["values"][0]
    other = value + 1 if _is_number(value) else f"{value} and more"
    wrong = [FactId.parse(text) for text in claim["evidence"]]
    of_value = [number for number, fact in enumerate(wrong) if fact.value == wrong[0].value]
    for where in ("facts", "text", "evidence", "everywhere"):
        new = _copy(scene.rationale)
        if where in ("facts", "everywhere"):
            new["claims"][place]["facts"]["values"][0] = other
        if where in ("text", "everywhere"):
            shown = (str(value), str(other)) if _is_number(value) else (f"“{value}”", f"“{other}”")
            _reword(new, place, *shown)
        if where in ("evidence", "everywhere"):
            for number in of_value:
                fact = wrong[number]
                changed = FactId.attribute(fact.name, other, fact.sources[0], fact.item)
                new["claims"][place]["evidence"][number] = changed.text
        yield f"{claim['facts']['name']} {value!r} became {other!r} in {where}", new
    renamed = _copy(scene.rationale)
    renamed["claims"][place]["facts"]["name"] += " of the sequel"
    yield "another attribute's name", renamed


def _likeness(scene: _Scene, place: int) -> _Changed:
    facts = scene.rationale["claims"][place]["facts"]
    worded = _copy(scene.rationale)
    worded["claims"][place]["facts"]["attributes"] = [*facts["attributes"], "gold-plated"]
    yield "a word that does not hold", worded
    sensed = _copy(scene.rationale)
    modality = "audio" if facts["modality"] != "audio" else "image"
    sensed["claims"][place]["facts"]["modality"] = modality
    yield f"another sense, {modality}", sensed
    stronger = _copy(scene.rationale)
    stronger["claims"][place]["facts"]["degree"] = "much" if facts["degree"] != "much" else "somewhat"
    yield "another degree of likeness", stronger


def _directions(scene: _Scene, place: int) -> _Changed:
    """What came after what: ids turned round, an order claimed that is not known, the words turned round."""
    claim = scene.rationale["claims"][place]
    if claim["kind"] not in ("followed", "together"):
        return
    other = "together" if claim["kind"] == "followed" else "followed"
    number = int(scene.rng.integers(len(claim["evidence"])))
    fact = FactId.parse(claim["evidence"][number])
    turned = _copy(scene.rationale)
    turned["claims"][place]["evidence"][number] = FactId(fact.kind, fact.sources[0], (fact.item,)).text
    yield "the fact turned round", turned
    renamed = _copy(scene.rationale)
    renamed["claims"][place]["kind"] = other
    yield f"the claim became {other}", renamed
    whole = _copy(renamed)
    whole["claims"][place]["evidence"] = [FactId(other, fact.item, fact.sources).text]
    yield f"the claim and its fact became {other}", whole
    said = _copy(scene.rationale)
    if claim["kind"] == "together":
        _reword(said, place, claim["text"], f"{claim['text']} within their next three")
    elif "within their next" in claim["text"]:
        _reword(said, place, "within their next", "within their last")
    else:
        _reword(said, place, "as their next", "as their last")
    yield "the words turned round", said


def _of_another_item(scene: _Scene) -> _Changed:
    new = _copy(scene.rationale)
    new["item"] = scene.pick([item for item in scene.items if item != new["item"]])
    yield f"the rationale is about {new['item']!r}", new


def _of_another_user(scene: _Scene) -> _Changed:
    """A user who did not take what the claims start from."""
    rationale = scene.rationale
    if rationale["user"] is None:
        return
    facts = [FactId.parse(text) for claim in rationale["claims"] for text in claim["evidence"]]
    sources = {source for fact in facts for source in fact.sources}
    for user in scene.rng.permutation(np.array(list(scene.users), dtype=object)).tolist():
        if any(scene.store.has(user, source, rationale["as_of_offset"]) is False for source in sources):
            new = _copy(rationale)
            new["user"] = user
            yield f"the user became {user!r}", new
            return


def _as_of_another_time(scene: _Scene) -> _Changed:
    later = _copy(scene.rationale)
    later["as_of_offset"] = scene.store.offset + int(scene.rng.integers(1, 1_000))
    yield "an offset that is yet to come", later


_OF_A_CLAIM: tuple[tuple[str, Callable[[_Scene, int], _Changed]], ...] = (
    ("name", _names),
    ("number", _numbers),
    ("id", _ids),
    ("attribute", _attributes),
    ("direction", _directions),
)
_OF_THE_WHOLE: tuple[tuple[str, Callable[[_Scene], _Changed]], ...] = (
    ("id", _of_another_item),
    ("id", _of_another_user),
    ("number", _as_of_another_time),
)


def _copy(rationale: Mapping[str, Any]) -> Json:
    new: Json = json.loads(json.dumps(rationale))
    return new


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _reword(rationale: Json, place: int, old: str, new: str) -> bool:
    """Change words in a claim, and the claim within the whole text. True where anything changed."""
    claim = rationale["claims"][place]
    text = claim["text"].replace(old, new)
    changed = bool(text != claim["text"])
    rationale["text"] = rationale["text"].replace(claim["text"], text)
    claim["text"] = text
    return changed


def _reword_number(rationale: Json, place: int, old: int, new: int) -> bool:
    """Change a number outside quotes, in figures or in words; titles may hold numbers of their own."""
    claim = rationale["claims"][place]
    words = [f"{old:,}", *([_NUMBER_WORDS[old - 1]] if 1 <= old <= len(_NUMBER_WORDS) else [])]
    pattern = re.compile(rf"(“[^”]*”)|(?<![\w,.])(?:{'|'.join(words)})(?![\w,])")
    text = pattern.sub(lambda found: found.group(1) or f"{new:,}", claim["text"], count=0)
    return _reword(rationale, place, claim["text"], text)
