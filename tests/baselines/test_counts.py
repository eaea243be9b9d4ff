"""Known answers for what is counted over whole events: popularity, in all and recently."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm import baselines
from dynmm.errors import ConfigError
from dynmm.interactions.dataset import Dataset
from dynmm.system import Query, System
from dynmm.testing import dataset_of
from dynmm.types import Events, UserHistory

DAY = 86_400_000


def scores(system: System, n_items: int, as_of: int | None = None) -> list[float]:
    """The score of each item for somebody without history."""
    rankings = system.rank([Query(UserHistory(), as_of)], n_items)
    by_item = dict(zip(rankings.items[0].tolist(), rankings.scores[0].tolist(), strict=True))
    return [by_item[item] for item in range(n_items)]


def events_at(days: list[float], items: list[int]) -> Events:
    times = np.array([int(day * DAY) for day in days], dtype=np.int64)
    return Events(np.zeros(len(items), np.int32), np.array(items, np.int32), times)


def test_popularity_counts_training_and_learned_events() -> None:
    system = baselines.create("popularity")
    system.fit(dataset_of([[0, 1, 2], [1, 2], [2]], n_items=4))
    assert scores(system, 4) == [1, 2, 3, 0]
    system.learn(events_at([0, 0, 0], [3, 3, 0]))
    assert scores(system, 4) == [2, 2, 3, 2]


def recent(days: int, at: list[float], items: list[int], n_items: int) -> tuple[System, int]:
    """A recent-popularity system that has learned these events after a first one; and the zero of its days."""
    data: Dataset = dataset_of([[0, 0]], n_items=n_items)
    assert data.events.timestamps is not None
    zero = int(data.events.timestamps[-1]) + 100 * DAY
    system = baselines.create(f"recent-popularity-{days}d")
    system.fit(data)
    shifted = events_at(at, items)
    assert shifted.timestamps is not None
    system.learn(Events(shifted.users, shifted.items, shifted.timestamps + zero))
    return system, zero


def test_the_window_holds_its_start_and_not_its_moment() -> None:
    system, zero = recent(2, [0, 1, 2, 2], [1, 2, 3, 3], 4)
    assert scores(system, 4, zero + 2 * DAY) == [0, 1, 1, 0]
    assert scores(system, 4, zero + 2 * DAY + 1) == [0, 0, 1, 2]
    assert scores(system, 4, None) == [0, 0, 1, 2]


def test_late_arrivals_and_early_questions_are_placed_by_time() -> None:
    system, zero = recent(1, [3, 1, 2], [1, 2, 3], 4)
    assert scores(system, 4, zero + 1 * DAY + 1) == [0, 0, 1, 0]
    assert scores(system, 4, zero + 3 * DAY + 1) == [0, 1, 0, 0]
    assert scores(system, 4, zero + 2 * DAY + 1) == [0, 0, 0, 1]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), min_size=1, max_size=30),
    st.lists(st.integers(0, 12), min_size=1, max_size=6),
)
@settings(max_examples=30, deadline=None)
def test_recent_counts_equal_counting_by_hand(happened: list[tuple[int, int]], asked: list[int]) -> None:
    system, zero = recent(3, [float(day) for day, _ in happened], [item for _, item in happened], 5)
    for day in asked:
        by_hand = [sum(day - 3 <= when < day and what == item for when, what in happened) for item in range(5)]
        assert scores(system, 5, zero + day * DAY) == by_hand


def test_a_day_of_questions_is_answered_in_one_batch() -> None:
    system, zero = recent(1, [0, 1, 2], [1, 2, 3], 4)
    rankings = system.rank([Query(UserHistory(), zero + day * DAY + 1) for day in (2, 0, 1)], 1)
    assert rankings.items[:, 0].tolist() == [3, 1, 2]


def test_random_depends_on_seed_and_history_alone() -> None:
    data = dataset_of([[0, 1], [1, 0]], n_items=50)
    one, other = baselines.create("random", seed=1), baselines.create("random", seed=2)
    one.fit(data)
    other.fit(data)
    query = Query(UserHistory(np.array([0], np.int32)))
    assert one.rank([query], 50).items.tolist() != other.rank([query], 50).items.tolist()
    assert one.rank([query], 50).items.tolist() != one.rank([Query(UserHistory())], 50).items.tolist()


def test_a_window_until_what_is_known_ends_there_for_late_questions_alone() -> None:
    system = baselines.create("recent-popularity-1d", until="known")
    data = dataset_of([[0, 1]], n_items=3)
    system.fit(data)
    assert data.events.timestamps is not None
    end = int(data.events.timestamps[-1]) + 1
    assert scores(system, 3, end + 50 * DAY) == scores(system, 3, end) == scores(system, 3) != [0, 0, 0]
    plain = baselines.create("recent-popularity-1d")
    plain.fit(data)
    assert scores(plain, 3, end + 50 * DAY) == [0, 0, 0]
    assert scores(system, 3, end - 1) == scores(plain, 3, end - 1) != scores(system, 3)


def test_a_window_of_more_days_than_a_century_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"recent-popularity-99999999999999d: days: .*36500"):
        baselines.create("recent-popularity-99999999999999d")
