"""Verification: what is true verifies, every untruth is caught and named, and what is no rationale is refused."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.rationale.made import (
    DRAMA,
    FILMS,
    FOLLOWED,
    LOOKS,
    OPERATOR,
    PUBLIC,
    TOGETHER,
    TREND,
    Told,
    as_json,
    explained,
    questions,
)
from tests.rationale.test_shown import HOSTILE

from dynmm.errors import DataError, RationaleUnreadable
from dynmm.factids import KINDS_OF_PEOPLE, FactId
from dynmm.rationale.clauses import claim_text
from dynmm.rationale.grounds import Grounds, claim_facts
from dynmm.rationale.settings import RationaleSettings, View
from dynmm.rationale.shown import clean
from dynmm.rationale.verification import Verification, verify
from dynmm.rationale.wording import SMALL_PART, rationale_text
from dynmm.rationale.words import Words
from dynmm.rationale.writing import write
from dynmm.testing.facts import LoggedFacts, fact_world
from dynmm.testing.mutations import SUBJECTS, Mutation, mutations
from dynmm.types import Claim, Rationale

VIEWS: tuple[View, ...] = ("operator", "public")

#: Enough claims that pairs come beside unions.
RULES = RationaleSettings(k=2, claims=6, sentences=5)


def rationales(world: LoggedFacts, view: View, users: int, items: int) -> list[dict[str, Any]]:
    """True ones, some as of an offset in the past, some without a user, some without unions and so with pairs."""
    settings = RULES.model_copy(update={"view": view})
    made = []
    for number, (user, item) in enumerate(questions(world, users, items)):
        as_of = world.offset if number % 3 else world.fitted + 20
        parts = world.explained(user, item, as_of, latent=float(number % 2) * 4)
        if number % 2:
            parts = replace(parts, evidence=tuple(one for one in parts.evidence if one.kind != "union"))
        made.append(as_json(write(parts, world, FILMS, settings, user if number % 5 else None)))
    return made


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("titles", [(), tuple(HOSTILE * 2)], ids=["plain titles", "hostile titles"])
def test_what_is_written_verifies(view: View, titles: tuple[str, ...]) -> None:
    world = fact_world(5, titles=titles)
    for rationale in rationales(world, view, 8, 5):
        assert verify(rationale, world, FILMS, RULES).problems == ()


def some_of_each(made: list[Mutation], rng: np.random.Generator) -> list[Mutation]:
    """Three of each subject."""
    order = [made[place] for place in rng.permutation(len(made))]
    return [one for subject in SUBJECTS for one in [each for each in order if each.subject == subject][:3]]


@pytest.mark.slow
@pytest.mark.parametrize("view", VIEWS)
def test_every_mutation_is_caught_and_named(view: View) -> None:
    """Over several hundred rationales of worlds with ordinary and with hostile titles."""
    rng = np.random.default_rng(11)
    caught: Counter[str] = Counter()
    for world in (fact_world(7, users=60), fact_world(8, users=50, titles=HOSTILE * 2)):
        for rationale in rationales(world, view, 12, 6):
            assert verify(rationale, world, FILMS, RULES).holds
            for mutation in some_of_each(mutations(rationale, world, list(world.items), world.users, rng), rng):
                found = verify(mutation.rationale, world, FILMS, RULES)
                assert not found.holds, (mutation.what, mutation.rationale)
                places = {problem.claim for problem in found.problems}
                assert mutation.claim in places or mutation.claim is None, (mutation.what, found.problems)
                assert all(problem.field and problem.text for problem in found.problems)
                caught[mutation.subject] += 1
    assert set(caught) == set(SUBJECTS)
    assert min(caught.values()) > 50, caught


def test_the_rationales_under_test_are_of_every_kind() -> None:
    kinds: Counter[str] = Counter()
    for world in (fact_world(7, users=60), fact_world(8, users=50, titles=HOSTILE * 2)):
        for rationale in rationales(world, "operator", 12, 6):
            kinds.update(claim["kind"] for claim in rationale["claims"])
    assert {"attribute", "alike", *KINDS_OF_PEOPLE} == set(kinds)


Path = tuple[str | int, ...]


def changed(data: dict[str, Any], path: Path, value: object) -> Any:
    """A copy with something else at one place; the value itself without a path."""
    whole: dict[str | int, Any] = {"": copy.deepcopy(data)}
    place: Any = whole
    for step in ("", *path)[:-1]:
        place = place[step]
    place[("", *path)[-1]] = value
    return whole[""]


def problems_of(store: Told, change: dict[Path, Any], settings: RationaleSettings = OPERATOR) -> Verification:
    """Verify a rationale of all that a store holds, after setting what stands at some paths."""
    data = as_json(write(explained(store), store, FILMS, settings, "u"))
    for path, value in change.items():
        data = changed(data, path, value)
    return verify(data, store, FILMS, RationaleSettings())


CLAIM = ("claims", 0)


@pytest.mark.parametrize(
    ("path", "value", "field", "expected"),
    [
        ((*CLAIM, "facts", "users"), 232, "facts.users", 231),
        ((*CLAIM, "facts", "within"), 4, "facts.within", 3),
        ((*CLAIM, "facts", "titles", 0), "Moon", "facts.titles[0]", "Gravity"),
        ((*CLAIM, "facts", "sources", 0), "b", "facts.sources[0]", "a"),
        ((*CLAIM, "facts", "extra"), 1, "facts.extra", "nothing"),
        ((*CLAIM, "facts"), {}, "facts.users", 231),
        ((*CLAIM, "facts", "users"), True, "facts.users", 231),
        ((*CLAIM, "kind"), "loved", "kind", "one of followed, together, union, attribute, alike, trend, taken"),
        ((*CLAIM, "kind"), "together", "evidence", "facts of the kind together"),
        ((*CLAIM, "evidence", 0), "followed:z>i", "evidence[0]", "a fact of the stores"),
        ((*CLAIM, "evidence", 0), "followed:a>b", "evidence[0]", "a fact of the item 'i'"),
        ((*CLAIM, "evidence", 0), "followed:a", "evidence[0]", "the id of a fact"),
        ((*CLAIM, "evidence"), ["followed:a>i"] * 2, "evidence", "a fact is cited twice"),
    ],
)
def test_a_changed_claim_is_named_with_what_was_expected(
    path: Path, value: object, field: str, expected: object
) -> None:
    found = problems_of(Told({"followed:a>i": FOLLOWED}), {path: value})
    named = [(problem.claim, problem.field, problem.expected) for problem in found.problems]
    assert (0, field, expected) in named
    assert found.as_json()["holds"] is False


def test_changed_words_are_named() -> None:
    store = Told({"followed:a>i": FOLLOWED})
    told = as_json(write(explained(store), store, FILMS, OPERATOR, "u"))["claims"][0]["text"]
    found = problems_of(store, {(*CLAIM, "text"): told.replace("231", "999")})
    assert [(one.claim, one.field, one.expected) for one in found.problems] == [(0, "text", told)]
    assert found.problems[0].text.startswith("claim 1, text: expected ")
    found = problems_of(store, {("text",): "Because everyone loves it."})
    assert [(one.claim, one.field) for one in found.problems] == [(None, "text")]
    longer = write(explained(store), store, FILMS, OPERATOR, "u").text + " Also, it is free."
    found = problems_of(store, {("text",): longer})
    assert [(one.claim, one.field) for one in found.problems] == [(None, "text")]


def test_a_public_claim_is_held_to_its_bucket_and_to_k() -> None:
    store = Told({"followed:a>i": FOLLOWED})
    for bound in (100, 500, 231, 230):
        found = problems_of(store, {(*CLAIM, "facts", "users_more_than"): bound}, PUBLIC)
        assert (0, "facts.users_more_than", 200) in [(one.claim, one.field, one.expected) for one in found.problems]
    data = as_json(write(explained(store), store, FILMS, PUBLIC))
    store.facts["followed:a>i"] = {**FOLLOWED, "users": 4}
    found = verify(data, store, FILMS)
    assert ("facts.users", "at least 5 distinct people", "fewer") in [
        (one.field, one.expected, one.found) for one in found.problems
    ]
    assert not any("4" in one.text for one in found.problems)


def test_another_k_and_the_other_view_are_named() -> None:
    store = Told({"followed:a>i": FOLLOWED, "alike:image:a>i": LOOKS})
    for k, settings in ((3, PUBLIC), (3, OPERATOR), (20, OPERATOR)):
        assert [one.field for one in problems_of(store, {("k",): k}, settings).problems] == ["k"]
    assert "facts.users" in [one.field for one in problems_of(store, {("view",): "public"}, OPERATOR).problems]
    assert "facts.users" in [one.field for one in problems_of(store, {("view",): "operator"}, PUBLIC).problems]


def test_a_lowered_k_makes_verification_tell_no_more() -> None:
    store = Told({"followed:a>i": {**FOLLOWED, "users": 3}})
    data = as_json(write(explained(store), store, FILMS, RationaleSettings(k=2)))
    assert data["claims"][0]["facts"]["users_at_least"] == 2
    told = [(one.field, one.expected) for one in verify(data, store, FILMS).problems]
    assert told == [("k", "at least 5"), ("facts.users", "at least 5 distinct people")]


def test_a_trend_counts_up_to_the_rationales_own_moment() -> None:
    store = Told({"trend:7@1500>i": TREND, "trend:7@1400>i": TREND})
    data = as_json(write(explained(Told({"trend:7@1500>i": TREND})), store, FILMS, OPERATOR))
    assert verify(data, store, FILMS).holds
    data["claims"][0]["evidence"] = ["trend:7@1400>i"]
    (problem,) = verify(data, store, FILMS).problems
    assert (problem.claim, problem.field, problem.expected) == (0, "evidence[0]", "trend:7@1500>i")


def test_every_mutation_of_a_trends_moment_is_caught() -> None:
    world, rng, seen = fact_world(7, users=60), np.random.default_rng(3), 0
    for rationale in rationales(world, "operator", 6, 3):
        for mutation in mutations(rationale, world, list(world.items), world.users, rng):
            if mutation.what.startswith("the trend ends"):
                seen += 1
                assert mutation.subject == "id"
                assert not verify(mutation.rationale, world, FILMS, RULES).holds, mutation.what
    assert seen > 10


def test_merged_claims_cite_what_belongs_together() -> None:
    store = Told({"followed:a>i": FOLLOWED, "together:a>i": TOGETHER, "together:b>i": TOGETHER})
    found = problems_of(store, {(*CLAIM, "evidence", 1): "together:b>i"})
    assert (0, "evidence", "the two facts start from different items") in [
        (one.claim, one.field, one.expected) for one in found.problems
    ]
    store = Told({f"attribute:categories={value}:{j}>i": {**DRAMA, "value": value} for value in "XY" for j in "ab"})
    cited = ["attribute:categories=X:a>i", "attribute:categories=Y:b>i"]
    found = problems_of(store, {(*CLAIM, "evidence"): cited})
    assert (0, "evidence", "every value of one attribute, by every source") in [
        (one.claim, one.field, one.expected) for one in found.problems
    ]


def test_a_fact_is_cited_by_one_claim() -> None:
    store = Told({"followed:a>i": FOLLOWED})
    data = as_json(write(explained(store), store, FILMS, OPERATOR))
    data["claims"] *= 2
    found = verify(data, store, FILMS)
    assert (1, "evidence[0]") in [(one.claim, one.field) for one in found.problems]


def test_the_user_must_have_taken_what_the_claims_start_from() -> None:
    world = fact_world(5)
    user, item = questions(world, 1, 1)[0]
    data = as_json(write(world.explained(user, item), world, FILMS, OPERATOR, user))
    data["user"] = "nobody"
    assert ("user", "a known user", "nobody") in [
        (one.field, one.expected, one.found) for one in verify(data, world, FILMS).problems
    ]


def test_an_offset_to_come_cannot_be_recomputed() -> None:
    found = problems_of(Told({"followed:a>i": FOLLOWED}), {("as_of_offset",): 101})
    assert [one.field for one in found.problems] == ["as_of_offset"]
    assert found.claims == 0


def test_an_offset_before_the_log_begins_is_named() -> None:
    world = fact_world(5)
    user, item = questions(world, 1, 1)[0]
    data = as_json(write(world.explained(user, item), world, FILMS, OPERATOR, user))
    data["as_of_offset"] = world.fitted - 1
    (problem,) = verify(data, world, FILMS).problems
    assert (problem.claim, problem.field) == (None, "as_of_offset")
    assert f"from offset {world.fitted}" in problem.text


def test_the_share_told_is_recomputed_where_the_score_is() -> None:
    store = Told({f"followed:{j}>i": FOLLOWED for j in "abcd"})
    parts = explained(store, latent=1.0)
    data = as_json(write(parts, store, FILMS, OPERATOR))
    assert data["told"] == 0.75
    assert verify(data, store, FILMS, explained=parts).holds
    raised = {**data, "told": 0.9}
    assert verify(raised, store, FILMS).holds
    assert [one.field for one in verify(raised, store, FILMS, explained=parts).problems] == ["told"]
    modest = {**data, "text": f"{data['text']} {SMALL_PART}"}
    assert verify(modest, store, FILMS).holds
    assert [one.field for one in verify(modest, store, FILMS, explained=parts).problems] == ["text"]
    for impossible in (-0.1, 1.1):
        assert [one.field for one in verify({**data, "told": impossible}, store, FILMS).problems] == ["told"]


def test_only_what_raises_the_score_is_a_reason_and_the_strongest_come_first() -> None:
    store = Told({f"followed:{j}>i": FOLLOWED for j in "abcd"})
    weights = {"followed:a>i": 3.0, "followed:b>i": 2.0, "followed:c>i": 1.0, "followed:d>i": 0.0}
    parts = explained(store, weights)
    data = as_json(write(parts, store, FILMS, OPERATOR))
    assert verify(data, store, FILMS, explained=parts).holds
    other = as_json(write(explained(store, {**weights, "followed:d>i": 9.0}), store, FILMS, OPERATOR))
    assert verify(other, store, FILMS).holds, "the fact is there"
    named = {(one.claim, one.field, one.expected) for one in verify(other, store, FILMS, explained=parts).problems}
    assert (0, "evidence[0]", "a fact that raises the score") in named
    for weak in (
        explained(store, {**weights, "followed:c>i": 4.0}),
        explained(store, {**weights, "followed:a>i": 0.0}),
    ):
        moved = as_json(write(weak, store, FILMS, OPERATOR))
        assert verify(moved, store, FILMS).holds
        assert "claims" in [one.field for one in verify(moved, store, FILMS, explained=parts).problems]


def test_what_is_no_reason_is_none_however_true() -> None:
    common = {"attribute:categories=Drama:a>i": {**DRAMA, "items": 60}}
    own = {"together:i>i": TOGETHER}
    for facts, settings, expected in (
        (common, PUBLIC, "a value that says something, not false, of 2 to 40 items"),
        (own, PUBLIC, "a fact that starts from another item"),
        (own, OPERATOR, "a fact that starts from another item"),
    ):
        store = Told(facts)
        grounds = Grounds(*_only(store))
        titles = {"a": "Gravity", "i": "Arrival"}
        told = claim_facts(grounds, titles, settings) or {}
        words = Words.of(FILMS)
        claim = Claim(grounds.kind, claim_text(grounds.kind, told, words), (grounds.ids[0].text,), told)
        text = rationale_text([claim], words, small_part=False)
        store.n_items = 200
        data = as_json(Rationale(None, "i", text, 100, (claim,), settings.view, 5, 0.5))
        problems = [(one.claim, one.field, one.expected) for one in verify(data, store, FILMS).problems]
        assert problems == [(0, "evidence[0]", expected)]


def _only(store: Told) -> tuple[str, tuple[FactId, ...], tuple[Any, ...]]:
    ((text, stored),) = store.facts.items()
    fact = FactId.parse(text)
    return fact.kind, (fact,), (stored,)


def test_an_abstention_verifies_and_says_nothing_else() -> None:
    store = Told({})
    data = as_json(write(explained(store), store, FILMS, PUBLIC))
    assert verify(data, store, FILMS).holds
    assert not verify({**data, "text": "Everyone loves it."}, store, FILMS).holds
    assert not verify({**data, "told": 0.5}, store, FILMS).holds


SOUND = as_json(write(explained(Told({"followed:a>i": FOLLOWED})), Told({"followed:a>i": FOLLOWED}), FILMS, OPERATOR))


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ((), [], "no JSON object"),
        (("user",), 7, "user is an id or null"),
        (("item",), "", "item is an id"),
        (("item",), "\ud800", "item is an id"),
        (("text",), None, "text is a text"),
        (("as_of_offset",), True, "as_of_offset is a whole number"),
        (("as_of_offset",), -1, "as_of_offset is a whole number"),
        (("claims",), {}, "claims is a list"),
        (("claims",), [1], r"claims\[0\]: 1 is no JSON object"),
        (("claims",), SOUND["claims"] * 101, "at most 100"),
        (("view",), "mine", "view is one of operator, public"),
        (("view",), [], "view is one of operator, public"),
        (("k",), 0, "k is a whole number"),
        (("told",), float("nan"), "told is a number"),
        (("told",), "all", "told is a number"),
        (("score",), 1, "no rationale has the field 'score'"),
        (("claims", 0, "evidence"), [], "evidence is a list of ids"),
        (("claims", 0, "evidence"), [1], "evidence is a list of ids"),
        (("claims", 0, "facts"), [], "facts is a JSON object"),
        (("claims", 0, "facts", "users"), float("inf"), "facts is a JSON object"),
        (("claims", 0, "facts", "titles"), ["\ud800"], "facts is a JSON object"),
        (("claims", 0, "why"), "", r"claims\[0\]: no rationale has the field 'why'"),
    ],
)
def test_what_is_no_rationale_is_refused_by_field(path: Path, value: object, named: str) -> None:
    with pytest.raises(RationaleUnreadable, match=named):
        verify(changed(SOUND, path, value), Told({}), FILMS)
    assert issubclass(RationaleUnreadable, DataError)


@pytest.mark.parametrize("name", sorted(SOUND))
def test_a_missing_field_is_named(name: str) -> None:
    data = {key: value for key, value in SOUND.items() if key != name}
    with pytest.raises(RationaleUnreadable, match=f"the field '{name}' is missing"):
        verify(data, Told({}), FILMS)


def test_k_of_one_is_no_public_view() -> None:
    with pytest.raises(RationaleUnreadable, match="k: 1 in the public view"):
        verify({**SOUND, "view": "public", "k": 1}, Told({}), FILMS)


@pytest.mark.parametrize("value", [None, 3, "x", [], [None], {"titles": 3}, {"titles": [3]}, {"titles": [[]]}])
def test_facts_of_any_shape_are_problems_and_no_crash(value: object) -> None:
    store = Told({"followed:a>i": FOLLOWED})
    for kind in ("followed", "attribute", "trend", "loved"):
        data = copy.deepcopy(SOUND)
        data["claims"][0]["kind"] = kind
        data["claims"][0]["facts"] = value if isinstance(value, dict) else {"titles": value, "users": value}
        assert not verify(data, store, FILMS).holds


def test_titles_in_a_rationale_are_the_shown_ones() -> None:
    title = "Two\nlines “and” <b>more</b> " + "x" * 10_000
    store = Told({"followed:a>i": FOLLOWED}, {"a": title})
    data = as_json(write(explained(store), store, FILMS, PUBLIC))
    assert data["claims"][0]["facts"]["titles"] == [clean(title)]
    assert verify(data, store, FILMS).holds
    assert len(data["text"]) < 400
