"""Summaries of the stream: decayed, causal, the same however the events come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm.adapter.summaries import PLAIN, ItemSummaries, context_of, user_activity, user_features
from dynmm.types import UserHistory

_DAY = 86_400_000


def _summaries(half_life: int = 10) -> ItemSummaries:
    return ItemSummaries(6, 2, half_life)


def _history(items: list[int], times: list[int] | None = None) -> UserHistory:
    return UserHistory(np.asarray(items, np.int32), None if times is None else np.asarray(times, np.int64))


def test_an_event_counts_half_after_its_half_life() -> None:
    made = _summaries(half_life=10)
    made.advance(np.asarray([3]))
    now = made.masses(np.asarray([3]))[0]
    made.advance(np.asarray([0] * 10))
    assert made.masses(np.asarray([3]))[0] == pytest.approx(now / 2)
    made.advance(np.asarray([3]))
    assert made.masses(np.asarray([3]))[0] > now


def test_items_cool_and_are_hot_no_more() -> None:
    made = _summaries(half_life=5)
    made.advance(np.asarray([1, 2]))
    assert made.hot().tolist() == [1, 2]
    made.advance(np.asarray([0] * 200))
    assert made.hot().tolist() == [0]
    assert made.activity(np.asarray([0, 1, 5]), 2.0)[1:].tolist() == [0.0, 0.0]
    assert 0.5 < made.activity(np.asarray([0]), 2.0)[0] < 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=400), st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_in_pieces_or_whole_they_are_the_same_to_the_bit(items: list[int], pieces: list[int]) -> None:
    whole, parts = _summaries(half_life=1), _summaries(half_life=1)
    whole.advance(np.asarray(items, np.int64))
    start, number = 0, 0
    while start < len(items):
        size = pieces[number % len(pieces)]
        parts.advance(np.asarray(items[start : start + size], np.int64))
        start, number = start + size, number + 1
    every = np.arange(6)
    assert np.array_equal(whole.read(every), parts.read(every))
    assert all(np.array_equal(whole.arrays()[name], array) for name, array in parts.arrays().items())


def test_they_do_not_overflow_and_forget_in_the_end() -> None:
    made = _summaries(half_life=1)
    made.advance(np.asarray([4]))
    made.advance(np.zeros(20_000, np.int64))
    read = made.read(np.arange(6))
    assert np.isfinite(read).all()
    assert made.masses(np.asarray([4]), 2)[0] == pytest.approx(0.0, abs=1e-12)
    assert made.masses(np.asarray([0]), 1)[0] == pytest.approx(1.0, rel=1e-6)  # 1/2 + 1/4 + ...


def test_company_is_the_mean_of_what_takers_had_before() -> None:
    made = _summaries(half_life=1_000)
    made.meet(2, np.asarray([1.0, 0.0]))
    made.meet(2, np.asarray([0.0, 1.0]))
    assert made.read(np.asarray([2]))[0, PLAIN:].tolist() == [0.5, 0.5]
    assert made.read(np.asarray([3]))[0, PLAIN:].tolist() == [0.0, 0.0]


def test_items_that_came_have_room_and_nothing_yet() -> None:
    made = _summaries()
    made.advance(np.asarray([1, 1]))
    before = made.read(np.arange(6))
    made.widen(8)
    assert np.array_equal(made.read(np.arange(6)), before)
    assert not made.masses(np.asarray([6, 7])).any()
    made.advance(np.asarray([7]))
    assert made.hot().tolist() == [1, 7]


def test_what_was_kept_goes_on_as_if_nothing_had_been() -> None:
    made, other = _summaries(), _summaries()
    made.advance(np.asarray([1, 2, 3]))
    made.meet(1, np.asarray([0.5, 0.5]))
    other.restore(made.arrays())
    for one in (made, other):
        one.advance(np.asarray([2, 2, 5]))
    assert np.array_equal(made.read(np.arange(6)), other.read(np.arange(6)))


def test_a_context_leans_to_the_newest() -> None:
    latents = np.eye(3, dtype=np.float32)
    found = context_of(_history([0, 1, 2]), latents)
    assert found[2] > found[1] > found[0] > 0
    assert found.sum() == pytest.approx(1.0)
    assert context_of(_history([]), latents).tolist() == [0, 0, 0]


def test_a_user_is_read_from_their_history_alone() -> None:
    latents = np.eye(3, dtype=np.float32)
    known, nobody = _history([0, 1], [_DAY, 2 * _DAY]), _history([], [])
    read = user_features([known, nobody], [3 * _DAY, 3 * _DAY], latents)
    assert read.shape == (2, PLAIN + 3)
    assert not read[1].any()
    assert np.array_equal(read[:1], user_features([known], [3 * _DAY], latents))
    active = user_activity([known, nobody], [3 * _DAY, 3 * _DAY], 30.0, 2.0)
    later = user_activity([known], [300 * _DAY], 30.0, 2.0)
    assert active[0] > later[0] > 0
    assert active[1] == 0
    assert user_activity([_history([0, 1])], [None], 30.0, 2.0)[0] == pytest.approx(0.5)
