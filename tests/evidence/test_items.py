"""Counts of items and their trend: their definition, and that learning gives what a build gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm import Dataset, DatasetInfo
from dynmm.errors import ArtefactError, ConfigError, DataError, UnsupportedByData
from dynmm.evidence.items import ItemStatistics
from dynmm.evidence.ledger import Ledger
from dynmm.evidence.trend import ItemTrend, TrendSettings
from dynmm.testing.data import dataset_of
from dynmm.types import Events

DAY = 86_400_000
START = 1_600_000_000_000
#: User, item, and hours since the start.
Told = list[tuple[int, int, int]]
TOLD = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(1, 2_000)), min_size=1, max_size=30, unique=True
)


def timed(told: Told) -> Dataset:
    """A data set whose dense ids are the numbers themselves: every user and item is there once at the start."""
    every = [(user, 0, 0) for user in range(5)] + told
    table = pl.DataFrame(
        {
            "user_id": [f"u{user}" for user, _, _ in every],
            "item_id": [f"i{item}" for _, item, _ in every],
            "timestamp": [START + hours * 3_600_000 for _, _, hours in every],
        }
    )
    items = pl.DataFrame({"item_id": [f"i{item}" for item in range(7)]})
    return Dataset.from_frames(table, items, info=DatasetInfo("timed", time_resolution="second"))


def events_of(told: Told) -> Events:
    users, items, hours = np.array(told, dtype=np.int64).reshape(-1, 3).T
    return Events(users.astype(np.int32), items.astype(np.int32), START + hours * 3_600_000)


@given(
    told=TOLD,
    share=st.floats(0, 1),
    batch=st.integers(1, 7),
    asked=st.lists(st.integers(0, 2_400), min_size=1, max_size=4),
)
@settings(max_examples=30, deadline=None)
def test_learning_gives_what_a_build_gives(told: Told, share: float, batch: int, asked: list[int]) -> None:
    fitted = int(share * len(told))
    learned, ledger = ItemStatistics.of(timed(told[:fitted])), Ledger.of(timed(told[:fitted]))
    for start in range(fitted, len(told), batch):
        learned.append(events_of(told[start : start + batch]))
        ledger.append(events_of(told[start : start + batch]))
        assert learned.trend is not None
        learned.trend.users(1, START + asked[0] * 3_600_000)
    built = ItemStatistics.of(timed(told))
    np.testing.assert_array_equal(learned.events, built.events)
    np.testing.assert_array_equal(learned.users, built.users)
    assert built.users.tolist() == [ledger.takers(item) for item in range(7)]
    assert learned.trend is not None
    assert built.trend is not None
    for hours in asked:
        moment = START + hours * 3_600_000
        for days in (1, 7, 30):
            users, ranks = learned.trend.users(days, moment), learned.trend.ranks(days, moment)
            np.testing.assert_array_equal(users, built.trend.users(days, moment))
            since = moment - days * DAY
            assert users.tolist() == [ledger.trend_users(item, since, moment) for item in range(7)]
            assert ranks.tolist() == [ledger.trend_rank(item, since, moment) for item in range(7)]
            assert learned.trend.users_and_rank(3, days, moment) == (users[3], ranks[3])
    for half_life in (1.0, 7.0, 30.0):
        late = START + 2_400 * 3_600_000
        expected = np.zeros(7)
        for _, item, hours in [(0, 0, 0)] * 5 + told:
            expected[item] += 0.5 ** ((2_400 - hours) / 24 / half_life)
        np.testing.assert_allclose(learned.trend.fading_counts(half_life, late), expected, rtol=1e-9)
        np.testing.assert_allclose(built.trend.fading_counts(half_life, late), expected, rtol=1e-9)


def test_counts_outlive_thousands_of_half_lives() -> None:
    learned = ItemStatistics.of(timed([]))
    assert learned.trend is not None
    for day in range(0, 3_000, 100):
        learned.append(Events(np.array([0]), np.array([1]), np.array([START + day * DAY])))
    assert learned.trend.fading_counts(1.0)[1] == pytest.approx(1.0, rel=1e-9)
    assert learned.trend.fading_counts(30.0)[1] == pytest.approx(1 / (1 - 0.5 ** (100 / 30)), rel=1e-9)


def test_new_items_are_counted() -> None:
    learned = ItemStatistics.of(timed([]))
    learned.append(Events(np.array([7, 7]), np.array([11, 11]), np.array([START, START + DAY])))
    known, unknown = learned.people_of(np.asarray([11, 99])).tolist()
    assert (learned.n_items, known, learned.events[11], unknown) == (12, 1, 2, 0)
    assert learned.events_of(np.array([11, 3, 99, 11])).tolist() == [2, 0, 0, 2]
    assert learned.events_of(np.array([11, 3])).tolist() == [2, 0]
    assert learned.trend is not None
    assert learned.trend.users(7)[11] == 1


@given(told=TOLD, share=st.floats(0, 1), asked=st.lists(st.integers(0, 2_400), min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_nobody_has_more_to_say_than_their_say(told: Told, share: float, asked: list[int]) -> None:
    say, fitted = 2, int(share * len(told))
    learned = ItemStatistics.of(timed(told[:fitted]), TrendSettings(say=say))
    built = ItemStatistics.of(timed(told), TrendSettings(say=say)).trend
    assert learned.trend is not None
    assert built is not None
    for start in range(fitted, len(told)):
        learned.append(events_of(told[start : start + 1]))
        learned.trend.said(7, START + asked[0] * 3_600_000)
    for hours in sorted(asked):  # moments that move on go step by step
        moment = START + hours * 3_600_000
        for days in (1, 7, 30):
            every = [(user, 0, 0) for user in range(5)] + told
            pairs = {(u, i) for u, i, at in every if hours - 24 * days < at <= hours}
            expected = np.zeros(7)
            for user, item in pairs:
                expected[item] += min(1.0, say / sum(other == user for other, _ in pairs))
            np.testing.assert_allclose(built.said(days, moment), expected, atol=1e-4)
            np.testing.assert_array_equal(learned.trend.said(days, moment), built.said(days, moment))
            some = learned.trend.said(days, moment, np.array([6, 9, 0, 6]))
            np.testing.assert_array_equal(some, np.append(built.said(days, moment), 0.0)[[6, 7, 0, 6]])
            assert learned.trend.users(days, moment).tolist() == [sum(i == item for _, i in pairs) for item in range(7)]


def test_without_a_say_everybody_counts_in_full() -> None:
    trend = ItemStatistics.of(timed([(1, item, 5) for item in range(7)])).trend
    assert trend is not None
    assert trend.said(1).tolist() == trend.users(1).tolist()


def test_without_timestamps_there_is_no_trend() -> None:
    data = dataset_of([[0, 1], [1, 2]], time="order")
    statistics = ItemStatistics.of(data)
    assert statistics.trend is None
    assert statistics.users.tolist() == [1, 2, 1]
    statistics.append(Events(np.array([0]), np.array([2])))
    assert statistics.users.tolist() == [1, 2, 2]
    with pytest.raises(UnsupportedByData, match="no timestamps"):
        ItemTrend.of(data)


def test_what_cannot_be_counted_is_refused() -> None:
    statistics = ItemStatistics.of(timed([]))
    with pytest.raises(DataError, match="time of every event"):
        statistics.append(Events(np.array([0]), np.array([1])))
    with pytest.raises(DataError, match="negative"):
        statistics.append(Events(np.array([0]), np.array([-1]), np.array([START])))
    assert statistics.trend is not None
    with pytest.raises(ConfigError, match="3 days"):
        statistics.trend.users(3)
    with pytest.raises(ConfigError, match="half-life"):
        statistics.trend.fading_counts(3.0)
    assert statistics.events.tolist() == [5, 0, 0, 0, 0, 0, 0]


def test_a_loaded_copy_reads_and_learns_the_same(tmp_path: Path) -> None:
    statistics = ItemStatistics.of(timed([(1, 2, 30), (2, 2, 40)]))
    statistics.append(events_of([(3, 2, 41), (3, 2, 60)]))
    statistics.save(tmp_path / "items")
    loaded = ItemStatistics.load(tmp_path / "items")
    more = events_of([(4, 2, 61), (3, 2, 62)])
    for one in (statistics, loaded):
        one.append(more)
    assert statistics.trend is not None
    assert loaded.trend is not None
    assert loaded.users.tolist() == statistics.users.tolist() == [5, 0, 4, 0, 0, 0, 0]
    assert loaded.events.tolist() == statistics.events.tolist()
    assert loaded.trend.users(1).tolist() == statistics.trend.users(1).tolist()
    np.testing.assert_allclose(loaded.trend.fading_counts(7.0), statistics.trend.fading_counts(7.0), rtol=1e-12)


def test_a_copy_without_times_is_loaded(tmp_path: Path) -> None:
    ItemStatistics.of(dataset_of([[0, 1], [1, 2]], time="none")).save(tmp_path)
    loaded = ItemStatistics.load(tmp_path)
    assert loaded.trend is None
    assert loaded.users.tolist() == [1, 2, 1]


def test_damage_is_named(tmp_path: Path) -> None:
    statistics = ItemStatistics.of(timed([]))
    statistics.save(tmp_path)
    (tmp_path / "items.safetensors").write_bytes(b"short")
    with pytest.raises(ArtefactError, match="item statistics"):
        ItemStatistics.load(tmp_path)
