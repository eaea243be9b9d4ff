"""The fakes answer as they say, and keep the contract themselves."""

from __future__ import annotations

import numpy as np
import pytest

from dynmm.system import Query
from dynmm.testing import (
    ConstantSystem,
    LastSeenSystem,
    OracleSystem,
    check_system,
    dataset_of,
    sequential_ndcg,
    tiny_dataset,
    without_last,
)
from dynmm.types import Events, UserHistory


def test_the_oracle_is_always_right_and_misses_as_many_as_it_is_told() -> None:
    train, queries, answers = without_last(tiny_dataset())
    knows_all = OracleSystem(queries, answers, train.n_items)
    assert knows_all.rank(queries, 1).items[:, 0].tolist() == answers
    misses_two = OracleSystem(queries, answers, train.n_items, misses=2)
    right = misses_two.rank(queries, 1).items[:, 0] == answers
    assert right[2:].all()
    assert not right[0]


def test_constant_gives_everybody_the_same() -> None:
    system = ConstantSystem([0.1, 0.3, 0.2, -np.inf])
    queries = [Query(UserHistory()), Query(UserHistory(), exclude=np.array([1], np.int32))]
    assert system.rank(queries, 4).items.tolist() == [[1, 2, 0, -1], [2, 0, -1, -1]]


def test_last_seen_puts_what_was_just_learned_first() -> None:
    system = LastSeenSystem()
    system.fit(dataset_of([[0, 1], [2]], n_items=5))
    assert system.rank([Query(UserHistory())], 3).items.tolist() == [[1, 2, 0]]
    system.learn(Events(np.array([0, 0]), np.array([4, 2])))
    assert system.rank([Query(UserHistory())], 3).items.tolist() == [[2, 4, 1]]


def test_last_seen_keeps_the_contract() -> None:
    check_system(LastSeenSystem)


def test_the_measure_of_the_floor_against_known_values() -> None:
    _, queries, answers = without_last(tiny_dataset(5, 150, 100, 9 * 150))
    # A history that two users share has one answer in the fake, so one of them may be wrong.
    assert sequential_ndcg(OracleSystem(queries, answers, 100)) == pytest.approx(1.0, abs=0.01)
    assert sequential_ndcg(OracleSystem(queries, answers, 100, misses=75)) == pytest.approx(0.5, abs=0.1)
