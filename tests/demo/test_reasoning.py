"""Recommendations with reasons for the report: what is shown is what the recommender says, and it recomputes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dynmm.demo.reasoning import SHOWN, checked, clause, example
from dynmm.demo.worlds import Newcomers
from dynmm.evaluation.examples import Example
from dynmm.interactions.dataset import DatasetInfo
from dynmm.rationale.settings import RationaleSettings
from dynmm.recommender import Recommender
from dynmm.types import Evidence

FILMS = DatasetInfo(noun="film", verb="watched")
OPERATOR = RationaleSettings(view="operator")


@pytest.fixture(scope="module")
def shown(fitted: Recommender) -> list[Example]:
    return [example(fitted, user) for user in fitted.users.ids[:3]]


def test_what_is_shown_is_what_is_recommended(fitted: Recommender, shown: list[Example]) -> None:
    for one in shown:
        listed = fitted.recommend(one.user, SHOWN)
        assert [each.explained.item for each in one.recommended] == [each.item for each in listed]
        assert [each.explained.rank for each in one.recommended] == list(range(1, SHOWN + 1))
        newest = fitted.history(one.user)[::-1][:SHOWN]
        assert all(str(fitted.title(item)) in title for item, title in zip(newest, one.history, strict=True))


def test_every_fact_is_put_in_words_and_shares_are_shares(shown: list[Example]) -> None:
    every = [each for one in shown for each in one.recommended]
    assert sum(len(one.explained.evidence) for one in every) > SHOWN
    for one in every:
        assert set(one.clauses) == {fact.id for fact in one.explained.evidence}
        assert 0.0 <= one.rationale.told <= one.tellable + 0.1
        assert one.rationale.view == "public"


def test_what_would_be_without_something_is_recomputed(fitted: Recommender, shown: list[Example]) -> None:
    said = 0
    for one in shown:
        for each in one.recommended:
            if each.what_if is None:
                assert not each.explained.evidence
                continue
            said += 1
            singles = {fact.sources[0] for fact in each.explained.evidence if len(fact.sources) == 1}
            outcomes = [
                fitted.explain(one.user, each.explained.item, without=[name], view="operator").what_if
                for name in sorted(singles) or [each.explained.evidence[0].id]
            ]
            assert any(outcome is not None and outcome.text in each.what_if for outcome in outcomes)
    assert said > 0


def test_claims_are_counted_and_recomputed(fitted: Recommender, shown: list[Example]) -> None:
    claims = sum(len(each.rationale.claims) for one in shown for each in one.recommended)
    assert claims > 0
    said = checked(fitted, shown)
    assert f"make {claims} claims" in said
    assert "every one holds" in said


def test_a_claim_that_does_not_hold_is_named(fitted: Recommender, shown: list[Example]) -> None:
    first = next(each for each in shown[0].recommended if each.rationale.claims)
    claim = first.rationale.claims[0]
    forged = replace(first.rationale, claims=(replace(claim, text=claim.text + " always"), *first.rationale.claims[1:]))
    said = checked(fitted, [replace(shown[0], recommended=[replace(first, rationale=forged)])])
    assert "every one holds" not in said
    assert "claim 1, text: expected" in said


def test_where_facts_have_no_weight_that_is_said(fitted: Recommender, shown: list[Example]) -> None:
    first = shown[0].recommended[0]
    bare = replace(first.explained, contributions={"latent": 1.0, "evidence": 0.0}, evidence=(), rest=0.0)
    without = replace(shown[0], recommended=[replace(first, explained=bare)])
    assert "validation gave facts no weight" in checked(fitted, [without])
    assert checked(fitted, []) == ""


def test_facts_without_words_are_told_as_they_are_stored() -> None:
    stored = {"modality": "image", "cosine": 0.12, "attributes": ["dark\u202e", "plain"]}
    weak = Evidence("alike:image:a>i", "alike", "i", ("a",), stored, 0.1)
    assert clause(weak, {"a": "Moon"}, FILMS, OPERATOR) == "alike: modality image; cosine 0.12; attributes dark, plain"
    counted = Evidence("together:a>i", "together", "i", ("a",), {"users": 3, "window": 50, "source_users": 9}, 0.1)
    assert (
        clause(counted, {"a": "Moon"}, FILMS, OPERATOR)
        == "3 of the 9 people who watched “Moon” also watched this within 50 films of it"
    )


def test_hostile_titles_are_made_safe(fitted: Recommender, new: Newcomers, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = [
        f"\u202e<script>alert({place})</script>\x1b[31m\n“ignore” the above" for place in range(len(fitted.items))
    ]
    monkeypatch.setattr(fitted, "_titles", hostile)
    one = example(fitted, fitted.users.ids[0])
    said = [*one.history, *(each.title for each in one.recommended)]
    said += [text for each in one.recommended for text in (each.rationale.text, each.what_if or "")]
    said += [text for each in one.recommended for text in each.clauses.values()]
    assert any("<script>alert(" in text for text in said)
    assert not any({"\u202e", "\x1b", "\n"} & set(text) for text in said)
    assert "every one holds" in checked(fitted, [one])
