"""What moved between two offsets, where the user themselves did something in between."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.worlds import DAY, START

from dynmm import Recommender
from dynmm.assembly import explainer_of
from dynmm.system import Query
from dynmm.types import UserHistory


def _events(*named: tuple[str, str]) -> list[dict[str, object]]:
    start = START + 100 * DAY
    return [
        {"event_id": f"own{n}", "user_id": user, "item_id": item, "timestamp": start + n * 60_000}
        for n, (user, item) in enumerate(named)
    ]


def _without_place(query: Query, place: int) -> Query:
    kept = np.arange(len(query.history.items)) != place
    assert query.history.timestamps is not None
    return replace(query, history=UserHistory(query.history.items[kept], query.history.timestamps[kept]))


def test_what_the_user_took_in_between_is_split_as_other_items_are(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        first = recommender.offset
        taken, second = (one.item for one in recommender.recommend("u2", 2))
        recommender.learn(_events(("u2", second), ("other", taken), ("u2", taken)))
        moved = {one.item: one for one in recommender.moves("u2", first, first + 3, 3).items}[taken]
    before, after = (Recommender.from_pretrained(run, as_of=offset) for offset in (first, first + 3))
    history = replace(before.query_of("u2"), history=after.query_of("u2").history)
    by_history = explainer_of(before, "operator").explain(history, before.items.encode(taken), "u2").score
    assert moved.rank_before == 1
    assert moved.rank_after == 0
    assert moved.history == pytest.approx(by_history - moved.before, abs=1e-4)
    assert moved.history
    assert moved.history + moved.evidence + moved.adapter == pytest.approx(moved.after - moved.before, abs=1e-4)


def test_each_event_of_an_item_that_was_taken_twice_has_its_own_worth(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        first, newest = recommender.offset, recommender.history("u2")[-1]
        recommender.learn(_events(("u2", newest), ("u2", "i3"), ("u2", newest)))
        moves = recommender.moves("u2", first, first + 3, 4)
        query, explainer = recommender.query_of("u2"), explainer_of(recommender, "operator")
        length = len(query.history.items)
        for one in (one for one in moves.items if one.item not in (newest, "i3")):
            item = recommender.items.encode(one.item)
            for n in range(3):
                rest = explainer.explain(_without_place(query, length - 3 + n), item, "u2").score
                assert one.own[first + n] == pytest.approx(one.after - rest, abs=1e-4)
            assert one.own[first] != one.own[first + 2]


def test_the_events_behind_a_fact_are_those_of_others(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        first, newest = recommender.offset, recommender.history("u2")[-1]
        following = f"i{(int(newest[1:]) + 1) % 30}"
        others = [("pair", newest), ("pair", following)]
        recommender.learn(_events(*others, ("u2", following), ("u2", newest), ("late", "i9")))
        moved = {one.item: one for one in recommender.moves("u2", first, first + 5, 30).items}[following]
    named = {one.id: one.events for one in moved.facts if one.events}
    assert f"together:{newest}>{following}" in named
    assert all(set(events) <= {first, first + 1} for events in named.values())
