"""User vectors that were computed a moment ago."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dynmm.remembering import RecentVectors
from dynmm.types import IntArray


class Reader:
    """Sums and lengths of the newest three items, and a record of what it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, histories: Sequence[IntArray]) -> Tensor:
        self.asked.append(len(histories))
        return torch.tensor([[float(one[-3:].sum()), float(len(one[-3:]))] for one in histories])


def _history(*items: int) -> IntArray:
    return np.array(items, np.int32)


def test_a_history_is_read_once_and_gets_its_own_vector() -> None:
    reader, recent = Reader(), RecentVectors(newest=3)
    both = [_history(1, 2), _history(5)]
    first = recent.of(both, reader)
    again = recent.of([both[1], _history(7, 7), both[0]], reader)
    assert reader.asked == [2, 1]
    assert first.tolist() == [[3.0, 2.0], [5.0, 1.0]]
    assert again.tolist() == [[5.0, 1.0], [14.0, 2.0], [3.0, 2.0]]


def test_one_that_comes_twice_in_a_call_is_read_once() -> None:
    reader, recent = Reader(), RecentVectors(newest=3)
    assert recent.of([_history(4), _history(4)], reader).tolist() == [[4.0, 1.0], [4.0, 1.0]]
    assert reader.asked == [1]


def test_only_the_newest_items_count() -> None:
    reader, recent = Reader(), RecentVectors(newest=3)
    recent.of([_history(9, 1, 2, 3)], reader)
    recent.of([_history(8, 1, 2, 3)], reader)
    assert reader.asked == [1]
    # One item less is another history, though its items are the end of the first.
    assert recent.of([_history(2, 3)], reader).tolist() == [[5.0, 2.0]]
    assert recent.of([_history()], reader).tolist() == [[0.0, 0.0]]


def test_the_width_of_the_integers_does_not_matter() -> None:
    reader, recent = Reader(), RecentVectors(newest=3)
    recent.of([np.array([1, 0], np.int32)], reader)
    recent.of([np.array([1, 0], np.int64)], reader)
    assert reader.asked == [1]


def test_the_latest_used_are_kept() -> None:
    reader, recent = Reader(), RecentVectors(newest=3, entries=2)
    for item in (1, 2, 1, 3, 1, 2):
        recent.of([_history(item)], reader)
    # 3 puts out 2, since 1 was used after it; then 2 is read again.
    assert len(reader.asked) == 4


def test_large_batches_are_not_remembered() -> None:
    reader, recent = Reader(), RecentVectors(newest=3, entries=2)
    many = [_history(1), _history(2), _history(3)]
    recent.of(many, reader)
    recent.of(many, reader)
    assert reader.asked == [3, 3]


def test_who_reads_is_asked_about_nobody_for_the_shape() -> None:
    reader = Reader()
    RecentVectors(newest=3).of([], reader)
    assert reader.asked == [0]


def test_threads_may_ask_at_once() -> None:
    recent = RecentVectors(newest=3, entries=4)
    wrong: list[int] = []

    def ask(start: int) -> None:
        for step in range(300):
            item = (start + step) % 7
            if recent.of([_history(item)], Reader()).tolist() != [[float(item), 1.0]]:
                wrong.append(item)

    threads = [threading.Thread(target=ask, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_cleared_it_knows_nothing() -> None:
    reader, recent = Reader(), RecentVectors(newest=3)
    recent.of([_history(1), _history(2)], reader)
    assert len(recent) == 2
    recent.clear()
    assert len(recent) == 0
    recent.of([_history(1)], reader)
    assert reader.asked == [2, 1]
