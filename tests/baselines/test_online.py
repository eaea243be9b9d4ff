"""Learning one by one gives what fitting on all gives; the trend fades as it says."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm.baselines import pairtable
from dynmm.baselines.online_item_knn import OnlineItemKNN, OnlineItemKNNSettings
from dynmm.baselines.pairtable import PairTable
from dynmm.baselines.trend import Trend
from dynmm.system import Query
from dynmm.testing import dataset_of, tiny_dataset
from dynmm.types import Events, UserHistory

histories_of_items = st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=10), min_size=1, max_size=5)


@given(histories_of_items, st.integers(0, 40), st.integers(1, 6), st.sampled_from(["second", "none"]))
@settings(max_examples=40, deadline=None)
def test_learning_equals_fitting(histories: list[list[int]], cut: int, window: int, time: str) -> None:
    whole = dataset_of(histories, n_items=7, time="none" if time == "none" else "second")
    order = whole.in_time_order() if whole.has_time else np.arange(len(whole.events))
    before = np.zeros(len(order), dtype=bool)
    before[order[:cut]] = True
    chosen = OnlineItemKNNSettings(window=window, trend_half_life=3.0)
    fitted, learned = OnlineItemKNN(chosen), OnlineItemKNN(chosen)
    fitted.fit(whole)
    learned.fit(whole.keep(before))
    for row in order[cut:]:
        learned.learn(whole.events.take(np.array([row])))
    assert learned.pair_sums().toarray() == pytest.approx(fitted.pair_sums().toarray())
    assert learned.item_counts().tolist() == fitted.item_counts().tolist()
    if whole.has_time:
        assert learned.recent_counts() == pytest.approx(fitted.recent_counts())
        queries = [Query(UserHistory(np.array([item], np.int32))) for item in range(7)]
        assert learned.rank(queries, 7).scores == pytest.approx(fitted.rank(queries, 7).scores, rel=1e-5)


def test_one_batch_equals_one_by_one() -> None:
    data = tiny_dataset(users=10, items=15, events=150)
    order = data.in_time_order()
    first = np.zeros(len(order), dtype=bool)
    first[order[:60]] = True
    rest = data.events.take(order[60:])
    at_once, singly = OnlineItemKNN(), OnlineItemKNN()
    at_once.fit(data.keep(first))
    singly.fit(data.keep(first))
    at_once.learn(rest)
    for row in range(len(rest)):
        singly.learn(rest.take(slice(row, row + 1)))
    assert np.array_equal(at_once.pair_sums().toarray(), singly.pair_sums().toarray())
    assert at_once.recent_counts().tolist() == singly.recent_counts().tolist()


def test_a_pair_learned_now_counts_at_once() -> None:
    system = OnlineItemKNN()
    system.fit(dataset_of([[0, 1], [0, 1], [2, 3]], n_items=6))
    query = Query(UserHistory(np.array([5], np.int32)), exclude=np.array([5], np.int32))
    assert system.rank([query], 1).items[0, 0] != 4
    system.learn(Events(np.array([7, 7]), np.array([5, 4])))
    assert system.rank([query], 1).items[0, 0] == 4


def test_folding_changes_no_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairtable, "_SPARE", 3)
    table = PairTable(sp.csr_matrix(np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])))
    expected = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    draw = np.random.default_rng(0)
    for _ in range(40):
        row, column = draw.integers(0, 3, 2).tolist()
        table.add(row, column, 0.5)
        expected[row, column] += 0.5
        table.tidy()
        read = np.zeros(3)
        table.accumulate(row, 2.0, read)
        assert read == pytest.approx(2.0 * expected[row])
    assert table.matrix().toarray() == pytest.approx(expected)


def test_the_trend_halves_after_its_half_life() -> None:
    trend = Trend(3, half_life=2.0)
    trend.take(0)
    trend.take(1)
    trend.take(1)
    assert trend.counts() == pytest.approx([0.5, 1 + 0.5**0.5, 0.0])


def test_the_trend_of_many_is_the_trend_of_each_and_never_overflows() -> None:
    items = np.random.default_rng(1).integers(0, 4, 3000)
    one_by_one, at_once = Trend(4, half_life=0.7), Trend(4, half_life=0.7)
    for item in items.tolist():
        one_by_one.take(item)
    at_once.take_all(items[:1000])
    at_once.take_all(items[1000:])
    assert np.isfinite(one_by_one.counts()).all()
    assert one_by_one.counts() == pytest.approx(at_once.counts())


def test_the_lift_follows_what_is_taken_lately() -> None:
    settled = dataset_of([[0, 1, 2], [0, 1, 2], [0, 1, 2], [3]], n_items=4)
    system = OnlineItemKNN(OnlineItemKNNSettings(trend=1.0, trend_half_life=2.0))
    system.fit(settled)
    nobody = [Query(UserHistory())]
    system.learn(Events(np.array([8, 9]), np.array([3, 3])))
    assert system.rank(nobody, 1).items[0, 0] == 3
    untrendy = OnlineItemKNN(OnlineItemKNNSettings(trend=0.0))
    untrendy.fit(settled)
    untrendy.learn(Events(np.array([8]), np.array([3])))
    assert untrendy.rank(nobody, 1).items[0, 0] == 0
