"""Pair statistics that fade or are windowed, and their copies on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm.errors import ArtefactError, DataError, UnsupportedByData
from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.weighing import LAG_UNIT, PairSettings
from dynmm.testing.data import dataset_of
from dynmm.types import Events

DAY = 86_400_000
START = 1_600_000_000_000
ITEMS = np.arange(8)
FADING = PairSettings(window=4, within=2, half_life_days=0.25)
#: User, item and hour of each learned event, in any order of time.
TOLD = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 400)), max_size=20)


def base() -> PairStatistics:
    return PairStatistics.of(dataset_of([[0, 1, 2, 1], [2, 0]]), FADING)


def events_of(told: list[tuple[int, int, int]]) -> Events:
    users, items, hours = np.array(told, dtype=np.int64).reshape(-1, 3).T
    return Events(users, items, START + hours * 3_600_000)


@given(told=TOLD, batch=st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_faded_weights_are_their_definition(told: list[tuple[int, int, int]], batch: int) -> None:
    statistics = base()
    for start in range(0, len(told), batch):
        statistics.append(events_of(told[start : start + batch]))
    data = dataset_of([[0, 1, 2, 1], [2, 0]])
    assert data.events.timestamps is not None
    sequences: list[list[tuple[int, int]]] = [[] for _ in range(4)]
    columns = (data.events.users, data.events.items, data.events.timestamps)
    for user, item, time in zip(*(column.tolist() for column in columns), strict=True):
        sequences[user].append((item, time))
    for user, item, hours in told:
        sequences[user].append((item, START + hours * 3_600_000))
    moment = START + 400 * 3_600_000
    after, first, users = np.zeros((8, 8)), np.zeros((8, 8)), np.zeros((8, 8), dtype=int)
    for sequence in sequences:
        met = set()
        for place, (item, time) in enumerate(sequence):
            weight = 0.5 ** ((moment - time) / (DAY / 4))
            for lag in range(1, min(place, 4) + 1):
                source = sequence[place - lag][0]
                after[source, item] += weight * np.rint(lag**-0.5 / LAG_UNIT) * LAG_UNIT
                first[source, item] += weight * (lag == 1)
                met |= {(source, item), (item, source)}
        for pair in met:
            users[pair] += 1
    grid = statistics.between(ITEMS, ITEMS, moment)
    np.testing.assert_allclose(grid.after, after, rtol=1e-9)
    np.testing.assert_allclose(grid.before, after.T, rtol=1e-9)
    np.testing.assert_allclose(grid.first, first, rtol=1e-9)
    np.testing.assert_array_equal(grid.users, users)


def test_weights_outlive_thousands_of_half_lives() -> None:
    statistics = base()
    for day in range(0, 2_000, 40):
        statistics.append(Events(np.array([0, 0]), np.array([6, 7]), START + np.array([day, day]) * DAY))
        statistics.row(6)
    row = statistics.row(6)
    assert row.first[row.items == 7] == pytest.approx(1.0, rel=1e-9)
    assert np.isfinite(statistics.row(0).after).all()
    half_a_day = statistics.row(6, moment=START + 1_960 * DAY + DAY // 2)
    assert half_a_day.first[half_a_day.items == 7] == pytest.approx(0.25, rel=1e-9)
    with pytest.raises(DataError, match="later moment"):
        statistics.row(6, moment=START)


def test_a_window_leaves_out_what_is_older() -> None:
    data = dataset_of([[0, 1, 2], [1, 2]])
    since = START + 2 * 60_000
    windowed = PairStatistics.of(data, since=since)
    assert len(windowed) == 3
    assert windowed.between(ITEMS, ITEMS).users.sum() == 2
    windowed.append(Events(np.array([1, 1]), np.array([3, 4]), np.array([since - 1, since])))
    assert len(windowed) == 4
    assert windowed.row(4).items.tolist() == [2]


def test_without_timestamps_nothing_fades() -> None:
    data = dataset_of([[0, 1], [1, 2]], time="order")
    with pytest.raises(UnsupportedByData, match="no timestamps"):
        PairStatistics.of(data, FADING)
    with pytest.raises(UnsupportedByData, match="no timestamps"):
        PairStatistics.of(data, since=START)
    with pytest.raises(DataError, match="time of every event"):
        base().append(Events(np.array([0]), np.array([1])))


@pytest.mark.parametrize("how", [FADING, PairSettings()])
def test_a_loaded_copy_reads_and_learns_the_same(tmp_path: Path, how: PairSettings) -> None:
    statistics = PairStatistics.of(dataset_of([[0, 1, 2, 1], [2, 0]]), how)
    statistics.append(events_of([(0, 3, 0), (5, 2, 1), (5, 7, 2)]))
    statistics.settle()
    statistics.append(events_of([(0, 2, 90)]))
    statistics.save(tmp_path / "pairs")
    loaded = PairStatistics.load(tmp_path / "pairs")
    assert len(loaded) == len(statistics) == 10
    for one in (statistics, loaded):
        one.append(events_of([(5, 2, 100), (0, 4, 120)]))
    ours, theirs = statistics.rows(ITEMS), loaded.rows(ITEMS)
    assert all(
        np.array_equal(part, other) for part, other in zip(vars(ours).values(), vars(theirs).values(), strict=True)
    )
    assert loaded.settings == how


@pytest.mark.parametrize("damage", ["arrays", "card", "missing"])
def test_damage_is_named(tmp_path: Path, damage: str) -> None:
    base().save(tmp_path)
    if damage == "arrays":
        (tmp_path / "pairs.safetensors").write_bytes(b"not this")
    elif damage == "card":
        (tmp_path / "pairs.json").write_text('{"settings": {}, "tables": 3}')
    else:
        (tmp_path / "pairs.safetensors").unlink()
    with pytest.raises(ArtefactError, match=r"pair statistics in .*cannot be read"):
        PairStatistics.load(tmp_path)
