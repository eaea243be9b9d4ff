"""The small data sets are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from dynmm.testing import dataset_of, tiny_dataset, without_last
from dynmm.testing.data import TinyTime


@pytest.mark.parametrize("time", ["second", "order", "none"])
def test_histories_come_back_as_given(time: TinyTime) -> None:
    histories = [[3, 1, 2], [0], [1, 1]]
    data = dataset_of(histories, n_items=6, time=time)
    found = [data.history(user).items.tolist() for user in range(3)]
    if time == "none":  # neither order nor repeats can be told apart
        assert [set(one) for one in found] == [set(one) for one in histories]
    else:
        assert found == histories
    assert (data.n_items, data.has_time, data.has_order) == (6, time == "second", time != "none")


def test_events_of_different_users_are_interleaved_in_time() -> None:
    data = dataset_of([[0, 1], [2, 3]])
    assert data.events.items[data.in_time_order()].tolist() == [0, 2, 1, 3]


def test_tiny_data_has_the_size_asked_for_and_its_seed_decides() -> None:
    data = tiny_dataset(3, users=7, items=20, events=50)
    assert (data.n_users, data.n_items, len(data.events)) == (7, 20, 50)
    assert data.events.items.tolist() == tiny_dataset(3, users=7, items=20, events=50).events.items.tolist()
    assert data.events.items.tolist() != tiny_dataset(4, users=7, items=20, events=50).events.items.tolist()


def test_steps_mostly_follow_the_ring() -> None:
    data = tiny_dataset(0, users=50, items=40, events=400)
    items, users = data.events.items, data.events.users
    pairs = np.stack([items[:-1], items[1:]])[:, users[1:] == users[:-1]]
    commonest = [np.bincount(pairs[1][pairs[0] == item], minlength=40).max() for item in range(40)]
    assert 0.6 < sum(commonest) / pairs.shape[1] < 0.95


def test_without_last_holds_out_one_event_of_each_user_with_two() -> None:
    data = dataset_of([[0, 1, 2], [3], [1, 2]])
    train, queries, answers = without_last(data)
    assert [train.history(user).items.tolist() for user in range(3)] == [[0, 1], [3], [1]]
    assert [query.history.items.tolist() for query in queries] == [[0, 1], [1]]
    assert answers == [2, 2]
    assert data.events.timestamps is not None
    assert [query.as_of for query in queries] == data.events.timestamps[[2, 5]].tolist()
