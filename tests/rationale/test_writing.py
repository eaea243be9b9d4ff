"""Which claims are made: only what raises the score, strongest first, merged, rare enough, and confirmed by the log."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from tests.rationale.made import (
    DRAMA,
    FILMS,
    FOLLOWED,
    LOOKS,
    OPERATOR,
    PUBLIC,
    TOGETHER,
    UNION,
    Told,
    explained,
    questions,
)

from dynmm.rationale.settings import RationaleSettings
from dynmm.rationale.writing import write
from dynmm.testing.facts import fact_world

MANY = RationaleSettings(claims=20, sentences=5)


def test_what_does_not_raise_the_score_is_no_reason() -> None:
    store = Told({"followed:a>i": FOLLOWED, "followed:b>i": FOLLOWED, "alike:image:a>i": LOOKS})
    parts = explained(store, {"followed:a>i": 0.0, "alike:image:a>i": -0.5})
    rationale = write(parts, store, FILMS, MANY)
    assert [claim.evidence for claim in rationale.claims] == [("followed:b>i",)]
    assert rationale.told == 1.0


def test_the_strongest_come_first_and_no_more_than_asked_for() -> None:
    store = Told({f"followed:{j}>i": FOLLOWED for j in "abcd"})
    parts = explained(store, {"followed:a>i": 0.1, "followed:b>i": 0.4, "followed:c>i": 0.3, "followed:d>i": 0.2})
    rationale = write(parts, store, FILMS, OPERATOR)
    assert [claim.facts["titles"] for claim in rationale.claims] == [["Interstellar"], ["Moon"], ["Solaris"]]
    assert rationale.told == 0.9


def test_the_order_in_which_facts_come_does_not_matter() -> None:
    world = fact_world(3)
    for user, item in questions(world, 6, 4):
        parts = world.explained(user, item)
        backwards = replace(parts, evidence=parts.evidence[::-1])
        assert write(parts, world, FILMS, PUBLIC, user) == write(backwards, world, FILMS, PUBLIC, user)


def test_a_pair_that_carries_most_is_told_rather_than_the_union() -> None:
    facts = {f"together:{j}>i": TOGETHER for j in "abc"} | {"union:a,b,c>i": UNION}
    store = Told(facts)
    one = RationaleSettings(claims=1)
    alike = explained(store, {"union:a,b,c>i": 0.0})
    assert [claim.kind for claim in write(alike, store, FILMS, one).claims] == ["union"]
    strong = explained(store, {"union:a,b,c>i": 0.0, "together:b>i": 5.0})
    assert [claim.evidence for claim in write(strong, store, FILMS, one).claims] == [("together:b>i",)]


def test_together_joins_followed_only_where_it_holds_as_many_people() -> None:
    store = Told({"followed:a>i": {**FOLLOWED, "users": 501}, "together:a>i": TOGETHER})
    assert [len(claim.evidence) for claim in write(explained(store), store, FILMS, MANY).claims] == [1, 1]


@pytest.mark.parametrize(("items", "told"), [(1, False), (2, True), (200, True), (201, False)])
def test_a_value_that_most_items_have_is_no_reason(items: int, told: bool) -> None:
    store = Told({"attribute:categories=Drama:a>i": {**DRAMA, "items": items}})
    assert write(explained(store), store, FILMS, PUBLIC).abstains is not told


def test_a_likeness_that_hardly_is_one_is_no_reason() -> None:
    store = Told({"alike:image:a>i": {**LOOKS, "cosine": 0.29}})
    assert write(explained(store), store, FILMS, PUBLIC).abstains


def test_an_item_is_not_like_itself() -> None:
    store = Told({"alike:image:i>i": LOOKS, "attribute:categories=Drama:i>i": DRAMA})
    assert write(explained(store), store, FILMS, PUBLIC).abstains
    again = Told({"followed:i>i": FOLLOWED, "together:i>i": TOGETHER})
    for view in (OPERATOR, PUBLIC):
        assert write(explained(again), again, FILMS, view).abstains, "it would read as if this were another item"


def test_a_value_of_which_nothing_can_be_seen_is_no_reason() -> None:
    store = Told({"attribute:categories=%E2%80%8B:a>i": {**DRAMA, "value": "\u200b"}})
    assert write(explained(store), store, FILMS, PUBLIC).abstains


def test_what_the_log_does_not_confirm_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    store = Told({"followed:a>i": FOLLOWED, "followed:b>i": FOLLOWED})
    parts = explained(store)
    store.facts["followed:a>i"] = {**FOLLOWED, "users": 230}
    with caplog.at_level(logging.WARNING):
        rationale = write(parts, store, FILMS, OPERATOR)
    assert [claim.evidence for claim in rationale.claims] == [("followed:b>i",)]
    assert "followed:a>i" in caplog.text
    del store.facts["followed:b>i"]
    assert write(parts, store, FILMS, OPERATOR).abstains
    unchecked = write(parts, store, FILMS, OPERATOR.model_copy(update={"recount": False}))
    assert len(unchecked.claims) == 2


def test_a_rationale_says_whose_and_when() -> None:
    store = Told({"followed:a>i": FOLLOWED})
    rationale = write(explained(store), store, FILMS, PUBLIC, "someone")
    assert (rationale.user, rationale.item, rationale.as_of_offset) == ("someone", "i", 100)
    assert (rationale.view, rationale.k) == ("public", 5)
    assert write(explained(store), store, FILMS).user is None
