"""Recompute every claim of a rationale from the stores. What differs is named: which claim, which field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dynmm.errors import DataError
from dynmm.factids import FACT_KINDS, FactId
from dynmm.rationale.claims import chosen, drafts, may_be_told, raising, share_told
from dynmm.rationale.clauses import claim_texts
from dynmm.rationale.grounds import Grounds, claim_facts, misfit
from dynmm.rationale.jsonvalues import same, writable
from dynmm.rationale.phrases import plain, says
from dynmm.rationale.privacy import STEPS, told_share
from dynmm.rationale.reading import read_rationale
from dynmm.rationale.settings import RationaleSettings
from dynmm.rationale.shown import shown_titles
from dynmm.rationale.wording import rationale_phrase
from dynmm.rationale.words import Words
from dynmm.rationale.writing import carries_a_small_part
from dynmm.types import Claim, Explained, Phrase, Rationale

if TYPE_CHECKING:
    from dynmm.interactions.dataset import DatasetInfo
    from dynmm.protocols import FactStore


@dataclass(frozen=True)
class Problem:
    """Something that a rationale says and the stores do not.

    claim: its place, 0 first, None for the rationale itself. field: a path such as `facts.users` or `evidence[0]`.
    expected: what the stores give, or in words what belongs there. found: what the rationale has.
    """

    claim: int | None
    field: str
    expected: Any
    found: Any

    @property
    def text(self) -> str:
        """One line for a person, counting claims from 1."""
        where = "rationale" if self.claim is None else f"claim {self.claim + 1}"
        return f"{where}, {self.field}: expected {_shown(self.expected)}, found {_shown(self.found)}"


@dataclass(frozen=True)
class Verification:
    """What came of recomputing a rationale. claims: how many were recomputed."""

    problems: tuple[Problem, ...]
    claims: int

    @property
    def holds(self) -> bool:
        """True where everything recomputes."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """The same as one JSON object."""
        problems = [{**vars(one), "found": writable(one.found), "text": one.text} for one in self.problems]
        return {"holds": self.holds, "claims": self.claims, "problems": problems}


@dataclass(frozen=True)
class _Against:
    """What a rationale is held against."""

    rationale: Rationale
    store: FactStore
    words: Words
    settings: RationaleSettings


def verify(
    data: Mapping[str, Any],
    store: FactStore,
    info: DatasetInfo,
    settings: RationaleSettings | None = None,
    explained: Explained | None = None,
) -> Verification:
    """Recompute a rationale's claims as of its offset, and its sentences from its claims.

    data: the JSON object. settings: those under which rationales are written here; view and k are the rationale's
    own; a public k must not be lower than theirs, and the operator's, which bounds nothing, is theirs. explained: the
    same score computed anew, where that can be had: then the claims must be the strongest that may be made of it,
    strongest first. Without it, `told` and the remark that the facts are a small part are only held to what they may
    be.
    What is expected stands in the view of the rationale. Whether a user took an item shows, too: answer the user
    themselves or the operator, and nobody else. Raises RationaleUnreadable.
    """
    settings = settings or RationaleSettings()
    rationale = read_rationale(data)
    # A lowered k must not make the answer tell what the view may not.
    k = max(rationale.k, settings.k) if rationale.view == "public" else rationale.k
    own = settings.model_copy(update={"view": rationale.view, "k": k})
    against = _Against(rationale, store, Words.of(info), own)
    problems = list(_of_the_frame(against, settings.k))
    if rationale.as_of_offset > store.offset:
        return Verification(tuple(problems), 0)
    titles = _titles(rationale, store)
    try:
        if rationale.view == "public":
            problems += _between_releases(rationale, store, own)
        recomputed = [_recompute(claim, titles, against) for claim in rationale.claims]
    except DataError as error:  # the log does not reach back to it
        problems.append(Problem(None, "as_of_offset", str(error), rationale.as_of_offset))
        return Verification(tuple(problems), 0)
    for place, (found, _) in enumerate(recomputed):
        problems += [Problem(place, *one) for one in found]
    expected = [new or claim for (_, new), claim in zip(recomputed, rationale.claims, strict=True)]
    problems += _twice_cited(rationale)
    if explained is not None and explained.as_of_offset != rationale.as_of_offset:
        problems.append(Problem(None, "as_of_offset", explained.as_of_offset, rationale.as_of_offset))
        explained = None
    if explained is not None:
        problems += _of_the_score(rationale, explained, against)
    problems += _of_the_whole(expected, against, explained)
    return Verification(tuple(problems), len(rationale.claims))


_Differences = list[tuple[str, Any, Any]]


def _of_the_frame(against: _Against, configured_k: int) -> Iterator[Problem]:
    """What concerns the rationale as such: the offset, k, the user and the item."""
    rationale, store = against.rationale, against.store
    if rationale.as_of_offset > store.offset:
        yield Problem(None, "as_of_offset", f"at most {store.offset}, the events in the log", rationale.as_of_offset)
    if rationale.view == "public" and rationale.k < configured_k:
        yield Problem(None, "k", f"at least {configured_k}", rationale.k)
    elif rationale.view == "operator" and rationale.k != configured_k:
        yield Problem(None, "k", configured_k, rationale.k)
    if store.about(rationale.item) is None:
        yield Problem(None, "item", "an item of the catalogue", rationale.item)
    if rationale.user is not None and store.has(rationale.user, rationale.item, rationale.as_of_offset) is None:
        yield Problem(None, "user", "a known user", rationale.user)


def _between_releases(rationale: Rationale, store: FactStore, settings: RationaleSettings) -> Iterator[Problem]:
    """The public is told nothing as of a moment between two releases of the item."""
    released = store.released(rationale.item, settings.release_every, rationale.as_of_offset)
    if released != rationale.as_of_offset:
        yield Problem(None, "as_of_offset", f"a release of the item, such as {released}", rationale.as_of_offset)


def _titles(rationale: Rationale, store: FactStore) -> dict[str, str]:
    """What the items are called that the rationale is about, which tells equal titles apart."""
    named = [rationale.item]
    for text in (text for claim in rationale.claims for text in claim.evidence):
        try:
            named += FactId.parse(text).sources
        except DataError:
            continue  # named as a problem of its claim
    return shown_titles(named, store)


def _recompute(claim: Claim, titles: Mapping[str, str], against: _Against) -> tuple[_Differences, Claim | None]:
    """What differs in one claim, and the claim as the stores give it; None where they give none."""
    ids, unsound = _cited(claim, against)
    if claim.kind not in FACT_KINDS:
        return [("kind", f"one of {', '.join(FACT_KINDS)}", claim.kind), *unsound], None
    if unsound:
        return unsound, None
    if why := misfit(claim.kind, ids):
        return [("evidence", why, list(claim.evidence))], None
    rationale, settings = against.rationale, against.settings
    if late := list(_other_moments(ids, against)):
        return late, None
    stored = [against.store.fact(fact, rationale.as_of_offset, rationale.user) for fact in ids]
    absent = [
        (f"evidence[{place}]", "a fact of the stores", ids[place].text) for place, one in enumerate(stored) if not one
    ]
    if absent:
        return absent, None
    grounds = Grounds(claim.kind, ids, tuple(one for one in stored if one is not None))
    facts = claim_facts(grounds, titles, settings)
    if none := list(_no_reasons(grounds, against)):
        return none, None
    if facts is None:
        return [_too_little(claim.kind, settings)], None
    clauses = claim_texts(claim.kind, facts, against.words)
    text = claim.text if claim.text in clauses else clauses[0]
    differences = list(_differences("facts", facts, claim.facts))
    if text != claim.text:
        differences.append(("text", text, claim.text))
    return differences + _strange_sources(ids, against), Claim(claim.kind, text, claim.evidence, facts)


def _other_moments(ids: tuple[FactId, ...], against: _Against) -> Iterator[tuple[str, Any, Any]]:
    """Trends up to another moment than the rationale's own: those "up to" its day would be untrue."""
    for place, fact in enumerate(ids):
        if fact.kind != "trend":
            continue
        moment = against.store.moment(against.rationale.as_of_offset)
        right = "a fact of the stores" if moment is None else FactId.trend(fact.days, moment, fact.item).text
        if right != fact.text:
            yield f"evidence[{place}]", right, fact.text


def _too_little(kind: str, settings: RationaleSettings) -> tuple[str, Any, Any]:
    """Why the view may not tell facts that are there."""
    if kind == "alike":
        return "facts.degree", f"a likeness from {settings.alike[0]} on", "less"
    return "facts.users", f"at least {settings.k if settings.view == 'public' else 1} distinct people", "fewer"


def _no_reasons(grounds: Grounds, against: _Against) -> Iterator[tuple[str, Any, Any]]:
    """Facts that are there and are no reasons: an item is like itself, and a common value says nothing."""
    settings, n_items = against.settings, against.store.n_items
    for place, (fact, stored) in enumerate(zip(grounds.ids, grounds.stored, strict=True)):
        if fact.item in fact.sources:
            yield f"evidence[{place}]", "a fact that starts from another item", fact.text
        elif fact.kind == "attribute" and not may_be_told(fact, stored, settings, n_items):
            most = int(settings.largest_share * n_items)
            yield (
                f"evidence[{place}]",
                f"a value that says something, not false, of 2 to {most:,} items",
                fact.text,
            )


def _cited(claim: Claim, against: _Against) -> tuple[tuple[FactId, ...], _Differences]:
    """The facts that a claim cites, and those texts that cite none or one of another item."""
    ids, unsound = [], []
    for place, text in enumerate(claim.evidence):
        try:
            fact = FactId.parse(text)
        except DataError:
            unsound.append((f"evidence[{place}]", "the id of a fact", text))
            continue
        if fact.item != against.rationale.item:
            unsound.append((f"evidence[{place}]", f"a fact of the item {against.rationale.item!r}", text))
        ids.append(fact)
    return tuple(ids), unsound


def _strange_sources(ids: tuple[FactId, ...], against: _Against) -> _Differences:
    """Sources that the user had not taken. A public offset is the item's release; the user's own may be newer."""
    user, as_of = against.rationale.user, against.rationale.as_of_offset
    if against.rationale.view == "public":
        as_of = against.store.offset
    if user is None:
        return []
    return [
        (f"evidence[{place}]", f"items of the history of the user {user!r}", source)
        for place, fact in enumerate(ids)
        for source in fact.sources
        if against.store.has(user, source, as_of) is False
    ]


def _differences(path: str, expected: Any, found: Any) -> Iterator[tuple[str, Any, Any]]:
    """Where two JSON values differ, as deep as can be said."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for name in [*expected, *(name for name in found if name not in expected)]:
            if name in expected and name in found:
                yield from _differences(f"{path}.{name}", expected[name], found[name])
            else:
                yield f"{path}.{name}", expected.get(name, "nothing"), found.get(name, "nothing")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for place, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from _differences(f"{path}[{place}]", one, other)
    elif not same(expected, found):
        yield path, expected, found


def _twice_cited(rationale: Rationale) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, claim in enumerate(rationale.claims):
        for number, text in enumerate(claim.evidence):
            if text in seen:
                yield Problem(place, f"evidence[{number}]", "a fact that no claim before cites", text)
        seen.update(claim.evidence)


def _of_the_score(rationale: Rationale, explained: Explained, against: _Against) -> Iterator[Problem]:
    """Claims that the score computed anew does not make: of facts that do not raise it, or not the strongest ones."""
    facts = raising(explained)
    known = {fact.text for fact in facts}
    idle = [
        Problem(place, f"evidence[{number}]", "a fact that raises the score", text)
        for place, claim in enumerate(rationale.claims)
        for number, text in enumerate(claim.evidence)
        if text not in known
    ]
    yield from idle
    offered = drafts(facts, against.settings, against.store.n_items)
    strongest = [list(draft.name) for draft in chosen(offered, facts, against.settings)]
    cited = [list(claim.evidence) for claim in rationale.claims]
    if not idle and cited != strongest:
        yield Problem(None, "claims", strongest, cited)


def _of_the_whole(claims: list[Claim], against: _Against, explained: Explained | None) -> Iterator[Problem]:
    """The text and the share told, from the claims as the stores give them."""
    rationale = against.rationale
    phrases = {small: _phrase(claims, against.words, small) for small in (False, True)}
    share = None if explained is None else _share(rationale, explained, against)
    if share is not None and explained is not None:
        small = carries_a_small_part(explained, share, against.settings)
        phrases = {small: phrases[small]}
        if (told := told_share(share, against.settings)) != rationale.told:
            yield Problem(None, "told", told, rationale.told)
    if not any(says(one, rationale.text) for one in phrases.values()):
        yield Problem(None, "text", plain(next(iter(phrases.values()))), rationale.text)
    if not _may_be_told(rationale):
        steps = f" in steps of 1/{STEPS}" if rationale.view == "public" else ""
        yield Problem(None, "told", f"a share from 0 to 1{steps}, 0 without claims", rationale.told)


def _phrase(claims: list[Claim], words: Words, small: bool) -> Phrase:
    """The sentences that the claims' texts make; none of the claims' own facts are trusted to be there."""
    readable = [claim for claim in claims if isinstance(claim.facts.get("titles", []), list)]
    readable = [one for one in readable if all(isinstance(title, str) for title in one.facts.get("titles", []))]
    return rationale_phrase(readable, [[one.text] for one in readable], words, small_part=small and bool(readable))


def _may_be_told(rationale: Rationale) -> bool:
    told = rationale.told
    if not 0.0 <= told <= 1.0:
        return False
    stepped = rationale.view == "operator" or abs(told * STEPS - round(told * STEPS)) < 1e-9
    return stepped and (told == 0.0 or not rationale.abstains)


def _share(rationale: Rationale, explained: Explained, against: _Against) -> float | None:
    """The share of the evidence that the claims tell, from the same score computed anew."""
    cited = {claim.evidence for claim in rationale.claims}
    offered = drafts(raising(explained), against.settings, against.store.n_items)
    made = [draft for draft in offered if draft.name in cited]
    return share_told(frozenset[FactId]().union(*(draft.covers for draft in made)), explained)


def _shown(value: object) -> str:
    value = writable(value)
    shown = (
        value if isinstance(value, str) and " " in value and len(value) < 60 else json.dumps(value, ensure_ascii=False)
    )
    return shown if len(shown) <= 300 else shown[:300] + "…"
