"""Pair statistics: their definition, and that learning gives what a build gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evidence.counted import LOGS, Counts, Log, counted, histories_of

from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.pairtable import COLUMNS
from dynmm.evidence.weighing import PairSettings
from dynmm.testing.data import TinyTime, dataset_of
from dynmm.types import Events

SMALL = PairSettings(window=4, within=2)
ITEMS = np.arange(12)


def read(statistics: PairStatistics, moment: int | None = None) -> Counts:
    """Everything by (source, item)."""
    rows = statistics.rows(ITEMS, moment)
    found: Counts = {}
    for source in range(len(ITEMS)):
        for record in range(int(rows.offsets[source]), int(rows.offsets[source + 1])):
            values = {name: float(getattr(rows, name)[record]) for name in COLUMNS}
            found[source, int(rows.items[record])] = {name: value for name, value in values.items() if value}
    return found


def events_of(log: Log) -> Events:
    users, items = np.array(log, dtype=np.int32).reshape(-1, 2).T
    return Events(users, items)


def learned(log: Log, fitted: int, batch: int, time: TinyTime = "order", how: PairSettings = SMALL) -> PairStatistics:
    """Built from the first events, and told the others in batches."""
    histories = histories_of(log[:fitted]) or [[0]]
    statistics = PairStatistics.of(dataset_of(histories, n_items=9, time=time), how)
    for start in range(fitted, len(log), batch):
        statistics.append(events_of(log[start : start + batch]))
    return statistics


@given(log=LOGS, unordered=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_build_counts_what_the_definition_says(log: Log, unordered: bool) -> None:
    histories = histories_of(log) if log else [[0]]
    data = dataset_of(histories, n_items=9, time="none" if unordered else "order")
    ordered = [data.history(user).items.tolist() for user in range(data.n_users)]
    expected = counted(ordered, SMALL, ordered=not unordered)
    found = read(PairStatistics.of(data, SMALL))
    assert found.keys() == expected.keys()
    for pair, values in expected.items():
        assert found[pair] == pytest.approx(dict(values), abs=1e-12)


@given(
    log=LOGS,
    share=st.floats(0, 1),
    batch=st.integers(1, 9),
    reading=st.booleans(),
    wide=st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_learning_gives_what_the_definition_says(log: Log, share: float, batch: int, reading: bool, wide: bool) -> None:
    how = PairSettings(window=20, within=3) if wide else SMALL
    fitted = int(share * len(log))
    statistics = learned(log, fitted, batch, how=how)
    if reading:
        statistics = learned(log, fitted, len(log) + 1, how=how)
    first = histories_of(log[:fitted])
    base = dataset_of(first or [[0]], n_items=9, time="order")
    start = [base.history(user).items.tolist() for user in range(base.n_users)]
    for user, item in log[fitted:]:
        start.extend([] for _ in range(user + 1 - len(start)))
        start[user].append(item)
    expected = counted(start, how)
    found = read(statistics)
    assert found.keys() == expected.keys()
    for pair, values in expected.items():
        assert found[pair] == pytest.approx(dict(values), abs=1e-12)
