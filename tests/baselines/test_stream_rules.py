"""The rules for streams: sessions, co-occurrence, session kNN, recently clicked, and the online factorisation."""

from __future__ import annotations

import numpy as np
import pytest

from dynmm import baselines
from dynmm.baselines.sessions import OpenSessions, current_session
from dynmm.system import Query
from dynmm.testing.data import dataset_of
from dynmm.types import Events, UserHistory

_MINUTE = 60_000


def _history(items: list[int], minutes: list[float]) -> UserHistory:
    return UserHistory(np.asarray(items, np.int32), np.asarray([round(m * _MINUTE) for m in minutes], np.int64))


def _events(user: int, items: list[int], start: int) -> Events:
    count = len(items)
    times = start + _MINUTE * np.arange(count, dtype=np.int64)
    return Events(np.full(count, user, np.int32), np.asarray(items, np.int32), times)


@pytest.mark.parametrize(
    ("minutes", "moment", "expected"),
    [
        ([0, 10, 20], 25.0, [1, 2, 3]),
        ([0, 100, 110], 115.0, [2, 3]),
        ([0, 10, 20], 200.0, [3]),  # a new session begins with what was last
        ([0, 10, 20], None, [1, 2, 3]),
    ],
)
def test_a_long_pause_begins_a_session(minutes: list[float], moment: float | None, expected: list[int]) -> None:
    asked = None if moment is None else round(moment * _MINUTE)
    found = current_session(_history([1, 2, 3], minutes), asked, 30 * _MINUTE, 50)
    assert found.tolist() == expected


def test_open_sessions_tell_what_came_before_and_stay_short() -> None:
    sessions = OpenSessions(30 * _MINUTE, 2)
    assert sessions.take(0, 5, 0) == (0, [])
    assert sessions.take(1, 9, 1) == (1, [])
    assert sessions.take(0, 6, 10 * _MINUTE) == (0, [5])
    assert sessions.take(0, 7, 20 * _MINUTE) == (0, [5, 6])
    assert sessions.take(0, 8, 30 * _MINUTE) == (0, [6, 7])
    assert sessions.take(0, 9, 90 * _MINUTE) == (2, [])


@pytest.mark.parametrize("name", ["streaming-cooccurrence", "session-knn"])
def test_what_shared_a_session_now_is_found_at_once(name: str) -> None:
    system = baselines.create(name)
    system.fit(dataset_of([[0, 1], [2, 3]], n_items=8))
    query = Query(_history([6], [0]), _MINUTE, exclude=np.asarray([6], np.int32))
    assert 7 not in system.rank([query], 1).items
    system.learn(_events(5, [6, 7], 10**13))
    assert system.rank([query], 1).items.tolist() == [[7]]


@pytest.mark.parametrize("name", ["streaming-cooccurrence", "session-knn"])
def test_what_a_rule_says_nothing_of_follows_in_order_of_popularity(name: str) -> None:
    system = baselines.create(name)
    system.fit(dataset_of([[0, 5], [5], [5], [3], [3]], n_items=8))
    asked = [Query(UserHistory()), Query(_history([7], [0]), exclude=np.asarray([7], np.int32))]
    assert system.rank(asked, 3).items.tolist() == [[5, 3, 0]] * 2
    near = Query(_history([0], [0]), exclude=np.asarray([0], np.int32))
    assert system.rank([near], 2).items.tolist() == [[5, 3]]
    system.learn(_events(9, [0, 6], 10**13))
    assert 6 in system.rank([near], 2).items


def test_the_item_that_was_taken_last_comes_first() -> None:
    system = baselines.create("recently-clicked")
    system.fit(dataset_of([[0, 1], [2, 3]], n_items=6))
    system.learn(_events(5, [4, 0], 10**13))
    assert system.rank([Query(UserHistory())], 3).items.tolist()[0][:2] == [0, 4]


def test_descent_moves_what_is_asked_after_the_same_history() -> None:
    system = baselines.create("online-mf", learning_rate=0.2)
    system.fit(dataset_of([[0, 1], [2, 3]], n_items=6))
    query = Query(_history([2], [0]), exclude=np.asarray([2], np.int32))
    for user in range(60):
        system.learn(_events(100 + user, [2, 5], 10**13 + user))
    assert system.rank([query], 1).items.tolist() == [[5]]
