"""Summaries of the stream: decayed, causal, the same however the events come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm.adapter.summaries import PLAIN, ItemSummaries, UserSummaries, context_of
from dynmm.types import NO_TIME, UserHistory

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


def _users(dims: int = 3) -> UserSummaries:
    return UserSummaries(30.0, 2.0, np.eye(dims, dtype=np.float32))


def test_a_user_is_read_from_their_history_alone() -> None:
    known, nobody = _history([0, 1], [_DAY, 2 * _DAY]), _history([], [])
    read = _users().read([known, nobody], [3 * _DAY, 3 * _DAY])
    assert read.shape == (2, PLAIN + 3)
    assert not read[1].any()
    assert np.array_equal(read[:1], _users().read([known], [3 * _DAY]))
    active = _users().activity([known, nobody], [3 * _DAY, 3 * _DAY])
    later = _users().activity([known], [300 * _DAY])
    assert active[0] > later[0] > 0
    assert active[1] == 0
    assert _users().activity([_history([0, 1])], [None])[0] == pytest.approx(0.5)


def test_a_users_events_decay_at_each_half_life_since_their_moments() -> None:
    """Half-lives of 3, 30 and 300 days: an event of three days ago and one of thirty."""
    read = _users().read([_history([0, 1], [0, 27 * _DAY])], [30 * _DAY])[0]
    counts = [2**-10 + 2**-1, 2**-1 + 2**-0.1, 2**-0.1 + 2**-0.01]
    assert read[:3] == pytest.approx(np.log1p(counts) / 3, rel=1e-6)
    rates = np.asarray(counts) / (3, 30, 300)
    assert read[3] == pytest.approx(np.log((rates[0] + 1 / 300) / (rates[2] + 1 / 300)) / 3, rel=1e-6)
    assert read[4] == pytest.approx(np.log1p(30) / 10, rel=1e-6)


def test_a_user_who_comes_back_trends_and_one_who_left_does_not() -> None:
    back, left = _history([0] * 5, [0, *range(360, 364)]), _history([0] * 5, [*range(4), 300])
    for history in (back, left):
        history.timestamps[:] *= _DAY  # type: ignore[index]
    trends = _users().read([back, left], [365 * _DAY] * 2)[:, 3]
    assert trends[0] > 0 > trends[1]


def test_without_a_moment_a_user_stands_at_their_newest_event_and_without_times_nothing_decays() -> None:
    timed = _history([0, 1], [_DAY, 5 * _DAY])
    assert np.array_equal(_users().read([timed], [None]), _users().read([timed], [5 * _DAY]))
    for untimed in (_history([0, 1]), _history([0, 1], [NO_TIME, NO_TIME])):
        for moment in (None, 365 * _DAY):
            read = _users().read([untimed], [moment])[0]
            assert read[:PLAIN] == pytest.approx([*np.log1p([2.0] * 3) / 3, 0, 0], rel=1e-6)
    assert np.array_equal(
        _users().read([_history([0, 1], [NO_TIME, _DAY])], [_DAY])[0, :PLAIN],
        _users().read([_history([1], [_DAY])], [_DAY])[0, :PLAIN],
    )


def test_a_moment_before_a_users_events_makes_nothing_grow() -> None:
    ahead = _history([0, 1], [5 * _DAY, 6 * _DAY])
    assert np.array_equal(_users().read([ahead], [0])[0, :3], _users().read([_history([0, 1])], [None])[0, :3])
