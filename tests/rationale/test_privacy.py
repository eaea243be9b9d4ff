"""The public view: k, buckets, what is not told, and strength in words."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.rationale.made import (
    DRAMA,
    FILMS,
    FOLLOWED,
    LOOKS,
    OPERATOR,
    PUBLIC,
    TOGETHER,
    TREND,
    UNION,
    Told,
    as_json,
    explained,
)

from dynmm.rationale.claims import tellable_share
from dynmm.rationale.parts import shown_parts
from dynmm.rationale.privacy import Part, coarse, counted, told_share
from dynmm.rationale.settings import RationaleSettings
from dynmm.rationale.writing import write


@pytest.mark.parametrize(
    ("people", "told"),
    [
        (4, None),
        (5, {"users_at_least": 5}),
        (10, {"users_at_least": 5}),
        (11, {"users_more_than": 10}),
        (200, {"users_more_than": 100}),
        (201, {"users_more_than": 200}),
        (10**9, {"users_more_than": 1_000_000}),
    ],
)
def test_counts_are_told_in_buckets_from_k_on(people: int, told: dict[str, int] | None) -> None:
    assert counted("users", people, PUBLIC) == told
    assert counted("users", people, OPERATOR) == {"users": people}


@given(st.integers(0, 900), st.integers(2, 60))
@settings(max_examples=60, deadline=None)
def test_a_public_count_is_true_and_hides_the_exact_one(people: int, k: int) -> None:
    rules = RationaleSettings(k=k)
    told = counted("users", people, rules)
    assert (told is None) == (people < k)
    if told is not None:
        ((name, bound),) = told.items()
        assert bound < people if name.endswith("more_than") else bound == k <= people
        alike = [other for other in range(k, 1_200) if counted("users", other, rules) == told]
        assert len(alike) > k


def test_no_exact_count_of_people_stands_in_a_public_rationale() -> None:
    facts = {
        "followed:a>i": {"users": 233, "within": 3, "source_users": 1217},
        "together:a>i": {"users": 541, "window": 50, "source_users": 1217},
        "union:b,c>i": {"users": 37, "window": 50},
        "trend:7@1500>i": {"users": 43, "days": 7, "rank": 13},
        "taken:>i": {"users": 1313},
    }
    store = Told(facts)
    rationale = as_json(write(explained(store), store, FILMS, RationaleSettings(claims=9, sentences=3)))
    assert {claim["kind"] for claim in rationale["claims"]} == {"followed", "union", "trend", "taken"}
    assert not {"233", "541", "1217", "37", "43", "13", "1313"} & set(re.findall(r"\d+", json.dumps(rationale)))


def test_below_k_nothing_is_said_of_people_and_all_of_items() -> None:
    few = {"users": 4}
    facts = {
        "followed:a>i": {**FOLLOWED, **few},
        "together:a>i": {**TOGETHER, **few},
        "union:a,b>i": {**UNION, **few},
        "trend:7@1500>i": {**TREND, **few},
        "taken:>i": few,
    }
    store = Told(facts)
    assert write(explained(store), store, FILMS, PUBLIC).abstains
    assert not write(explained(store), store, FILMS, OPERATOR).abstains
    store = Told({**facts, "attribute:categories=Drama:a>i": DRAMA, "alike:image:a>i": LOOKS})
    rationale = write(explained(store), store, FILMS, RationaleSettings(claims=9))
    assert {claim.kind for claim in rationale.claims} == {"attribute", "alike"}
    assert rationale.told == 0.2  # 2 of the 7 facts that weigh alike, rounded down to tenths


def test_a_union_tells_what_its_pairs_may_not() -> None:
    facts = {f"together:{j}>i": {"users": 3, "window": 50, "source_users": 9} for j in "abc"}
    store = Told({**facts, "union:a,b,c>i": {"users": 8, "window": 50}})
    parts = explained(store, {"union:a,b,c>i": 0.0})
    rationale = write(parts, store, FILMS, PUBLIC)
    assert [claim.kind for claim in rationale.claims] == ["union"]
    assert rationale.told == 1.0
    assert tellable_share(parts, PUBLIC, store.n_items) == 1.0
    assert tellable_share(parts, RationaleSettings(k=20), store.n_items) == 0.0


def test_what_a_view_can_tell_does_not_depend_on_how_much_it_says() -> None:
    store = Told({f"together:{j}>i": {**TOGETHER, "users": n} for j, n in zip("abcd", (3, 30, 300, 900), strict=True)})
    parts = explained(store, rest=1.0)
    assert tellable_share(parts, PUBLIC, 100) == pytest.approx(3 / 5)
    assert tellable_share(parts, OPERATOR, 100) == pytest.approx(4 / 5)
    assert write(parts, store, FILMS, RationaleSettings(claims=1)).told == 0.2


def test_what_lowers_the_score_makes_no_share_larger() -> None:
    """Of a rest of +3 and -2, 3 raise the score: told are 2 of 5, and not of 3."""
    store = Told({"followed:a>i": FOLLOWED})
    parts = replace(explained(store, {"followed:a>i": 2.0}, latent=1.0, rest=1.0), rest_raises=3.0)
    assert write(parts, store, FILMS, OPERATOR).told == 0.4
    assert tellable_share(parts, OPERATOR, 100) == pytest.approx(0.4)
    shown = shown_parts(parts, PUBLIC, 100)["parts"]
    assert (shown["evidence"], shown["remainder"]) == (
        {"word": "a large part", "bar": 2},
        {"word": "a large part", "bar": 2},
    )
    assert write(replace(parts, rest=-5.0, rest_raises=0.0), store, FILMS, OPERATOR).told == 1.0


def test_shares_and_contributions_are_coarse_for_the_public() -> None:
    assert (told_share(0.6789123, PUBLIC), told_share(0.6789123, OPERATOR)) == (0.6, 0.6789)
    assert told_share(0.3, PUBLIC) == 0.3
    assert coarse({"latent": 7.0, "evidence": 2.5, "rerank": 0.5, "none": -1.0}, PUBLIC) == {
        "latent": Part("most", 4),
        "evidence": Part("a small part", 1),
        "rerank": Part("hardly any", 1),
        "none": Part("none", 0),
    }


def test_the_parts_of_a_score_are_exact_for_the_operator_and_coarse_for_the_public() -> None:
    store = Told({"followed:a>i": FOLLOWED, "together:b>i": {**TOGETHER, "users": 3}})
    parts = explained(store, {"followed:a>i": 2.0, "together:b>i": 1.5}, latent=6.0, rest=0.5)
    exact = json.loads(json.dumps(shown_parts(parts, OPERATOR, 100)))
    assert exact["contributions"] == {"latent": 6.0, "evidence": 4.0}
    assert [one["facts"]["users"] for one in exact["evidence"]] == [231, 3]
    assert shown_parts(parts, PUBLIC, 100) == {
        "item": "i",
        "rank": 1,
        "parts": {
            "latent": {"word": "most", "bar": 3},
            "evidence": {"word": "a small part", "bar": 1},
            "remainder": {"word": "a small part", "bar": 1},
        },
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"k": 1},
        {"buckets": (10, 14)},
        {"buckets": (5, 5)},
        {"buckets": (0, 5)},
        {"alike": (0.5, 0.3, 0.8)},
        {"view": "everyone"},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RationaleSettings.model_validate(wrong)
