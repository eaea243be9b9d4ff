"""What each view is told of people: counts that are what their sentences say, and small ones together."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.assembly.made import BRIEF

from dynmm import Recommender
from dynmm.assembly import FitOptions
from dynmm.assembly.books import counted_in
from dynmm.errors import ConfigError, DataError

USERS = [f"u{user}" for user in range(0, 60, 7)]


def test_an_operators_count_is_what_its_sentence_says(told: Recommender) -> None:
    """Counted from the plain list of who took what, by nobody else's rules."""
    walks: dict[str, list[str]] = {}
    assert told.split is not None
    data = counted_in(told.split)
    for user, item in zip(data.events.users.tolist(), data.events.items.tolist(), strict=True):
        walks.setdefault(user, []).append(data.items.ids[item])
    seen = 0
    for user in USERS:
        for one in told.recommend(user, 5, explain=True, view="operator"):
            assert one.rationale is not None
            for claim in one.rationale.claims:
                if claim.kind not in ("together", "union"):
                    continue
                window = claim.facts["window"]
                assert f" within {window} " in claim.text
                near = [
                    any(
                        x in claim.facts["sources"] and y == one.item and abs(place - other) <= window
                        for place, x in enumerate(walk)
                        for other, y in enumerate(walk)
                    )
                    for walk in walks.values()
                ]
                assert claim.facts["users"] == sum(near), claim.text
                seen += 1
    assert seen > 5


def test_only_the_public_has_small_facts_grouped(world: Path, options: FitOptions) -> None:
    config = {**BRIEF, "evidence": {"strengths": [1.0], "group_below": 1}, "rationale": {"k": 20}}
    run = Recommender.fit(world, config, split="full", seed=3, options=options)
    least = {}
    for view in ("operator", "public"):
        shown = [one.explained for user in USERS for one in run.recommend(user, 5, explain=True, view=view)]
        facts = [fact for one in shown if one is not None for fact in one.evidence]
        least[view] = min(fact.facts["users"] for fact in facts if fact.kind in ("together", "followed"))
    assert least["operator"] < 20 <= least["public"]


def test_an_offset_that_the_log_does_not_have_is_refused(told: Recommender) -> None:
    (one,) = told.recommend("u7", 1, explain=True)
    assert one.rationale is not None
    for wrong in (-5, 5, told.offset + 1):
        with pytest.raises(DataError, match="is none of this run, whose log reaches from"):
            told.verify(one.rationale, offset=wrong)
    assert told.verify(one.rationale, offset=told.offset).holds


def test_a_view_of_nothing_is_refused(told: Recommender) -> None:
    with pytest.raises(ConfigError, match="view is about reasons"):
        told.recommend("u0", view="operator")
    fact = next(one for one in told.explain("u0", told.recommend("u0", 1)[0].item, view="operator").explained.evidence)
    assert told.recommend("u0", without=[fact.id], view="operator")
