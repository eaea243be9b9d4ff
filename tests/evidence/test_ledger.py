"""Counts from the raw events: their definition, as of any offset, and that the aggregates agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evidence.counted import LOGS, Log, histories_of

from dynmm.errors import ArtefactError, DataError, UnsupportedByData
from dynmm.evidence.ledger import Ledger
from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.unions import union_counts
from dynmm.evidence.weighing import PairSettings
from dynmm.testing.data import dataset_of
from dynmm.types import Events

HOW = PairSettings(window=4, within=2)


def started(log: Log, fitted: int) -> tuple[Ledger, PairStatistics, list[list[int]]]:
    """Both told everything, and the histories of the fit."""
    data = dataset_of(histories_of(log[:fitted]) if fitted else [[0]], n_items=9, time="order")
    ledger, pairs = Ledger.of(data), PairStatistics.of(data, HOW)
    histories = [data.history(user).items.tolist() for user in range(data.n_users)]
    if log[fitted:]:
        users, items = np.array(log[fitted:], dtype=np.int32).T
        ledger.append(Events(users, items))
        pairs.append(Events(users, items))
    return ledger, pairs, histories


def people(histories: list[list[int]], sources: set[int], item: int, before: int, behind: int) -> set[int]:
    """In plain loops: who has an event of the item with one of a source so near it."""
    return {
        user
        for user, items in enumerate(histories)
        for place, one in enumerate(items)
        for other, source in enumerate(items)
        if one == item and source in sources and other != place and -before <= other - place <= behind
    }


@given(log=LOGS, share=st.floats(0, 1), ask=st.integers(0, 40), left_out=st.none() | st.integers(0, 4))
@settings(max_examples=30, deadline=None)
def test_the_ledger_counts_people_as_of_any_offset(log: Log, share: float, ask: int, left_out: int | None) -> None:
    fitted = int(share * len(log))
    ledger, _, histories = started(log, fitted)
    learned = min(ask, len(log) - fitted)
    for user, item in log[fitted : fitted + learned]:
        histories.extend([] for _ in range(user + 1 - len(histories)))
        histories[user].append(item)
    as_of = ledger.n_fitted + learned
    without = {left_out}
    sources = np.array([0, 1, 1, 5])
    unions = union_counts(ledger, sources, np.arange(9), 4, as_of, without_user=left_out)
    for i in range(9):
        takers = {user for user, items in enumerate(histories) if i in items}
        assert ledger.takers(i, as_of, without_user=left_out) == len(takers - without)
        expected = len(people(histories, {0, 1, 5}, i, 4, 4) - without)
        assert ledger.union_users([0, 1, 5], i, 4, as_of, without_user=left_out) == expected
        assert unions[i] == expected
        for j in range(3):
            near, after = people(histories, {j}, i, 4, 4), people(histories, {j}, i, 2, -1)
            assert ledger.together_users(j, i, 4, as_of, without_user=left_out) == len(near - without)
            assert ledger.followed_users(j, i, 2, as_of, without_user=left_out) == len(after - without)


@given(log=LOGS, share=st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_the_aggregates_are_the_ledger_s_counts(log: Log, share: float) -> None:
    ledger, pairs, _ = started(log, int(share * len(log)))
    items = np.arange(9)
    grid = pairs.between(items, items)
    for j in range(9):
        for i in range(9):
            assert grid.users[j, i] == ledger.together_users(j, i, HOW.window)
            assert grid.followed[j, i] == ledger.followed_users(j, i, HOW.within)


def test_trends_need_timestamps() -> None:
    ledger = Ledger.of(dataset_of([[0, 1], [1, 2]], time="order"))
    assert not ledger.has_time
    with pytest.raises(UnsupportedByData, match="no timestamps"):
        ledger.trend_users(1, 0, 1)
    with pytest.raises(UnsupportedByData, match="no timestamps"):
        ledger.trend_rank(1, 0, 1)


def test_trends_are_counted_between_moments_and_as_of_offsets() -> None:
    ledger = Ledger.of(dataset_of([[0, 1], [1, 2]]))
    start = 1_600_000_000_000
    ledger.append(Events(np.array([7, 7, 0]), np.array([2, 2, 2]), np.array([start + 600_000] * 3)))
    assert ledger.trend_users(2, start, start + 600_000) == 3
    assert ledger.trend_users(2, start, start + 599_999) == 1
    assert ledger.trend_users(2, start, start + 600_000, as_of=6) == 2
    assert ledger.trend_users(2, start, start + 600_000, without_user=7) == 2
    # Event by event, a minute apart: items 0 and 1 at first, then 1 and 2. The start itself is outside.
    assert [ledger.trend_rank(item, start, start + 600_000, as_of=4) for item in (0, 1, 2, 99)] == [3, 1, 2, 3]
    assert ledger.trend_rank(1, start, start + 600_000) == 2
    assert ledger.trend_rank(1, start, start + 600_000, without_user=7) == 1


def test_nothing_follows_where_there_is_no_order() -> None:
    ledger = Ledger.of(dataset_of([[0, 1], [0, 1]], time="none"))
    assert (ledger.followed_users(0, 1, 3), ledger.together_users(0, 1, 50)) == (0, 2)


def test_offsets_that_cannot_be_looked_up_are_refused() -> None:
    ledger = Ledger.of(dataset_of([[0, 1], [1, 2]]))
    for offset in (3, 5, -1):
        with pytest.raises(DataError, match="from offset 4"):
            ledger.takers(1, offset)
    assert ledger.takers(1, 4) == 2
    assert ledger.takers(99) == ledger.together_users(99, 1, 50) == ledger.union_users([], 1, 50) == 0
    assert union_counts(ledger, np.array([0, 1]), np.array([], dtype=np.int32), 50).tolist() == []


def test_bad_events_are_refused_and_change_nothing() -> None:
    ledger = Ledger.of(dataset_of([[0, 1], [1, 2]]))
    with pytest.raises(DataError, match="negative"):
        ledger.append(Events(np.array([0]), np.array([-2]), np.array([5])))
    with pytest.raises(DataError, match="every learned event needs"):
        ledger.append(Events(np.array([0]), np.array([2])))
    assert ledger.offset == 4


@pytest.mark.parametrize("timed", [True, False])
def test_a_loaded_copy_counts_and_learns_the_same(tmp_path: Path, timed: bool) -> None:
    ledger = Ledger.of(dataset_of([[0, 1, 2], [1, 2]], time="second" if timed else "order"))
    moments = 1_600_000_000_000 + np.arange(3) * 60_000
    more = Events(np.array([1, 9, 9]), np.array([0, 1, 12]), moments if timed else None)
    ledger.append(more)
    ledger.save(tmp_path)
    loaded = Ledger.load(tmp_path)
    for one in (ledger, loaded):
        one.append(more)
    assert (loaded.offset, loaded.n_fitted, loaded.has_time) == (ledger.offset, 5, timed)
    for as_of in range(5, 12):
        for j in range(3):
            assert loaded.together_users(j, 1, 2, as_of) == ledger.together_users(j, 1, 2, as_of)
            assert loaded.takers(j, as_of) == ledger.takers(j, as_of)
    assert loaded.takers(12) == 1
    if timed:
        assert loaded.trend_users(12, 0, int(moments[-1])) == ledger.trend_users(12, 0, int(moments[-1])) == 1


def test_damage_is_named(tmp_path: Path) -> None:
    Ledger.of(dataset_of([[0, 1], [1, 2]])).save(tmp_path)
    (tmp_path / "ledger.json").write_text("[]")
    with pytest.raises(ArtefactError, match=r"ledger in .*cannot be read"):
        Ledger.load(tmp_path)
