"""People without a history: what they are recommended and told, by facts of items alone."""

from __future__ import annotations

import copy

import numpy as np
import polars as pl
import pytest
from tests.assembly.made import BRIEF
from tests.worlds import DAY, START

from dynmm import Dataset, DatasetInfo, Recommender
from dynmm.assembly import FitOptions
from dynmm.assembly.whole import whole_of
from dynmm.evidence.system import latent_scores
from dynmm.factids import FactId
from dynmm.randomness import generator

ITEMS, DAYS = 30, 50


def _arrivals() -> Dataset:
    """Eight people come every day. Each takes one of the two items of the week first, and three of a circle after."""
    draws, rows = generator(0, "arrivals"), []
    for day in range(DAYS):
        for one in range(8):
            item, start = (day // 7 * 2 + int(draws.integers(2))) % ITEMS, START + DAY * day + 1_000 * one
            for place in range(4):
                rows.append((f"u{day:02d}{one}", f"i{item}", start + DAY // 4 * place))
                item = (item + 1) % ITEMS
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    items = pl.DataFrame(
        {"item_id": [f"i{item}" for item in range(ITEMS)], "title": [f"Film {n}" for n in range(ITEMS)]}
    )
    return Dataset.from_frames(frame, items, info=DatasetInfo("arrivals", "film", "watched", "second"))


@pytest.fixture(scope="module")
def run(options: FitOptions) -> Recommender:
    settings = {
        **BRIEF,
        "encoders": {},
        "fusion": {"variant": "off"},
        "rerank": "none",
        "evidence": {"strengths": [1.0]},
        "rationale": {"k": 2},
    }
    return Recommender.fit(_arrivals(), settings, split="stream", seed=3, options=options)


def _newcomer(run: Recommender) -> str:
    """Somebody who comes when the stream has begun."""
    return next(user for user in run.users.ids if not len(run.query_of(user).history))


def test_they_are_told_what_others_take_now(run: Recommender) -> None:
    evidence = whole_of(run).evidence
    assert evidence is not None
    newcomers = evidence.weights.newcomers
    assert newcomers.learned_from > 20
    assert run.facts["evidence"]["newcomers"]["learned_from"] == newcomers.learned_from
    user, kinds = _newcomer(run), set()
    for view in ("operator", "public"):
        for one in run.recommend(user, 5, explain=True, view=view):
            assert one.explained is not None
            assert one.rationale is not None
            assert sum(one.explained.contributions.values()) == pytest.approx(one.score, abs=1e-4)
            assert run.verify(one.rationale).holds
            kinds |= {fact.kind for fact in one.explained.evidence}
            untrue = copy.deepcopy(one.rationale.as_json())
            untrue["claims"][0]["facts"] = {"item": one.item}
            assert not run.verify(untrue).holds
    assert kinds
    assert kinds <= {"taken", "trend"}


def test_items_of_the_week_are_on_top(run: Recommender) -> None:
    now = run.now
    assert now is not None
    week = (now - START) // DAY // 7
    first = {one.item for one in run.recommend(_newcomer(run), 6)}
    hits = {f"i{(week * 2 + place) % ITEMS}" for place in range(2)}
    assert hits <= first


def test_what_is_left_out_adds_nothing(run: Recommender) -> None:
    user = _newcomer(run)
    (best, *_) = run.recommend(user, 1, explain=True, view="operator")
    assert best.explained is not None
    fact = best.explained.evidence[0]
    without = run.recommend(user, ITEMS, explain=True, view="operator", without=[fact.id])
    again = next(one for one in without if one.item == best.item)
    assert again.score == pytest.approx(best.score - fact.contribution, abs=1e-4)
    assert again.explained is not None
    assert fact.id not in {one.id for one in again.explained.evidence}


def test_a_session_that_begins_knows_the_same(run: Recommender) -> None:
    ours = run.recommend(_newcomer(run), 5)
    assert [one.item for one in run.recommend_session([], 5)] == [one.item for one in ours]


def test_people_ever_are_told_where_they_count(run: Recommender) -> None:
    """A weight of all people who took an item makes a fact of its own."""
    twin, whole = copy.copy(run), whole_of(run)
    assert whole.evidence is not None
    weights = whole.evidence.weights
    made = copy.copy(weights)
    object.__setattr__(made, "newcomers", type(weights.newcomers)(3.0, (), 1))
    from dataclasses import replace

    twin.system = whole.with_evidence(replace(whole.evidence, weights=made))
    user = _newcomer(run)
    for one in twin.recommend(user, 3, explain=True, view="operator"):
        assert one.explained is not None
        (fact,) = one.explained.evidence
        assert fact.id == FactId("taken", one.item).text
        people = len(set(run.known.events.users[run.known.events.items == run.items.encode(one.item)].tolist()))
        assert fact.facts == {"users": people}
        assert fact.contribution == pytest.approx(3.0 * np.log1p(people), abs=1e-5)
        assert one.rationale is not None
        assert one.rationale.text == f"{people} people watched this in all."
        assert twin.verify(one.rationale).holds
        latent = latent_scores(whole.space, [run.query_of(user)])[0, run.items.encode(one.item)]
        assert one.score == pytest.approx(float(latent) + fact.contribution, abs=1e-4)
