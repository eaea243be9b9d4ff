"""Counts from the raw events: their definition, as of any offset, and that the aggregates agree."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evidence.counted import LOGS, Log, histories_of

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
@settings(max_examples=60, deadline=None)
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
@settings(max_examples=40, deadline=None)
def test_the_aggregates_are_the_ledger_s_counts(log: Log, share: float) -> None:
    ledger, pairs, _ = started(log, int(share * len(log)))
    items = np.arange(9)
    grid = pairs.between(items, items)
    for j in range(9):
        for i in range(9):
            assert grid.users[j, i] == ledger.together_users(j, i, HOW.window)
            assert grid.followed[j, i] == ledger.followed_users(j, i, HOW.within)
