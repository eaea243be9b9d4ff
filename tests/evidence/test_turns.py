"""Statistics that several threads read while one learns: nothing is lost, counted twice, or left as it was before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tests.evaluation.fakes import dataset
from tests.switching import switching_every

from dynmm.evidence.items import ItemStatistics
from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.sequences import Sequences
from dynmm.evidence.trend import TrendSettings
from dynmm.types import Events

DAY = 86_400_000
ITEMS, USERS, EVENTS = 12, 5, 200


@pytest.fixture(autouse=True)
def _switching() -> Iterator[None]:
    with switching_every(1e-6):
        yield


def _rows() -> list[tuple[int, int, int]]:
    draws = np.random.default_rng(0)
    return [(int(draws.integers(USERS)), int(draws.integers(ITEMS)), 1_000 + n * DAY // 50) for n in range(EVENTS)]


def _events(rows: list[tuple[int, int, int]]) -> Events:
    users, items, times = (np.asarray(column) for column in zip(*rows, strict=True))
    return Events(users.astype(np.int32), items.astype(np.int32), times.astype(np.int64))


def _while_it_learns(learn: Callable[[Events], Any], read: Callable[[], Any]) -> None:
    """One thread learns event by event, and reads as the adapter does; two others read."""
    done = threading.Event()

    def reading() -> None:
        while not done.is_set():
            read()

    with ThreadPoolExecutor(2) as threads:
        readers = [threads.submit(reading) for _ in range(2)]
        try:
            for row in _rows():
                learn(_events([row]))
                read()
        finally:
            done.set()
        for one in readers:
            one.result(30)


def test_pairs_that_are_read_meanwhile_are_those_of_all_events() -> None:
    start = [(0, 0, 1), (0, 1, 2), (1, 2, 3)]
    pairs, everything = PairStatistics.of(dataset(start, n_items=ITEMS)), np.arange(ITEMS)
    _while_it_learns(pairs.append, lambda: pairs.rows(everything))
    whole = PairStatistics.of(dataset([*start, *_rows()], n_items=ITEMS))
    found, right = pairs.rows(everything), whole.rows(everything)
    for name, column in vars(right).items():
        np.testing.assert_allclose(getattr(found, name), column, err_msg=name)


def test_counts_and_trends_that_are_read_meanwhile_are_those_of_all_events() -> None:
    start, settings = [(0, 0, 1), (0, 1, 2), (1, 2, 3)], TrendSettings(say=2)
    items = ItemStatistics.of(dataset(start, n_items=ITEMS), settings)
    moments = iter(range(10**9))

    def read() -> None:
        assert items.trend is not None
        _ = items.events, items.users
        items.trend.said(1, 1_000 + next(moments) * DAY // 500)
        items.trend.users(7)

    _while_it_learns(items.append, read)
    whole = ItemStatistics.of(dataset([*start, *_rows()], n_items=ITEMS), settings)
    assert items.trend is not None
    assert whole.trend is not None
    assert items.events.tolist() == whole.events.tolist()
    assert items.users.tolist() == whole.users.tolist()
    for days in (1, 7):
        assert items.trend.said(days).tolist() == whole.trend.said(days).tolist()
        assert items.trend.users(days).tolist() == whole.trend.users(days).tolist()


def test_who_reads_in_the_middle_of_another_reading_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waited is summed by the first who reads; the next event must find it there."""
    pairs = PairStatistics.of(dataset([(0, 0, 1)], n_items=4))
    real, summing, over = Sequences.extend, threading.Event(), threading.Event()

    def slow(self: Sequences, *told: Any) -> None:
        summing.set()
        over.wait(0.2)
        real(self, *told)

    def learn_and_read() -> None:
        pairs.append(_events([(0, 2, 3)]))
        pairs.settle()

    pairs.append(_events([(0, 1, 2)]))
    monkeypatch.setattr(Sequences, "extend", slow)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(pairs.settle)
        assert summing.wait(10)
        second = threads.submit(learn_and_read)
        second.add_done_callback(lambda _: over.set())
        first.result(10)
        second.result(10)
    assert pairs.between(np.asarray([1]), np.asarray([2])).followed.tolist() == [[1]]


def test_a_copy_that_is_made_while_others_read_advances_by_itself() -> None:
    data = dataset([(0, 0, 1), (0, 1, 2)], n_items=4)
    pairs, items = PairStatistics.of(data), ItemStatistics.of(data)
    pairs.apart().append(_events([(0, 2, 3)]))
    items.apart().append(_events([(0, 2, 3)]))
    assert pairs.between(np.asarray([1]), np.asarray([2])).followed.tolist() == [[0]]
    assert items.events.tolist() == [1, 1, 0, 0]
