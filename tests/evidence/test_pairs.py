"""Pair statistics: their definition, and that learning gives what a build gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.evidence.counted import LOGS, Counts, Log, counted, histories_of

from dynmm.errors import DataError
from dynmm.evidence.pairrows import RowCache
from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.pairtable import COLUMNS, table_of
from dynmm.evidence.weighing import PairSettings
from dynmm.randomness import generator
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


def same(found: Counts, expected: Counts, rel: float = 1e-12) -> bool:
    """The same pairs, and their values to rounding."""
    return found.keys() == expected.keys() and all(
        found[pair] == pytest.approx(dict(values), rel=rel) for pair, values in expected.items()
    )


def events_of(log: Log) -> Events:
    users, items = np.array(log, dtype=np.int32).reshape(-1, 2).T
    return Events(users, items)


def fitted_on(log: Log, how: PairSettings, time: TinyTime = "order") -> tuple[PairStatistics, list[list[int]]]:
    """Built from a log, and the histories by its dense users."""
    data = dataset_of(histories_of(log) if log else [[0]], n_items=9, time=time)
    return PairStatistics.of(data, how), [data.history(user).items.tolist() for user in range(data.n_users)]


def told(histories: list[list[int]], log: Log) -> list[list[int]]:
    """The histories after these events."""
    grown = [list(items) for items in histories] + [[] for _ in range(20)]
    for user, item in log:
        grown[user].append(item)
    return grown


@given(log=LOGS, time=st.sampled_from(["second", "order", "none"]))
@settings(max_examples=40, deadline=None)
def test_a_build_counts_what_the_definition_says(log: Log, time: TinyTime) -> None:
    statistics, histories = fitted_on(log, SMALL, time)
    assert same(read(statistics), counted(histories, SMALL, ordered=time != "none"))


@given(
    log=LOGS,
    share=st.floats(0, 1),
    batch=st.integers(1, 9),
    reads=st.lists(st.integers(0, 11), max_size=3),
    how=st.sampled_from([SMALL, PairSettings(window=20, within=3), PairSettings(window=1, within=1)]),
    time=st.sampled_from(["order", "none"]),
)
@settings(max_examples=40, deadline=None)
def test_learning_gives_what_a_build_gives(
    log: Log, share: float, batch: int, reads: list[int], how: PairSettings, time: TinyTime
) -> None:
    fitted = int(share * len(log))
    statistics, histories = fitted_on(log[:fitted], how, time)
    # Users and items beyond those of the fit come too.
    new = [(user + 3 * (place % 2), item + 3 * (place % 2)) for place, (user, item) in enumerate(log[fitted:])]
    for start in range(0, len(new), batch):
        statistics.append(events_of(new[start : start + batch]))
        if reads:
            statistics.rows(np.array(reads))
    assert len(statistics) == sum(map(len, histories)) + len(new)
    assert same(read(statistics), counted(told(histories, new), how, ordered=time != "none"))


def test_portions_give_the_same_bits() -> None:
    log = [(int(user), int(item)) for user, item in generator(3).integers(0, [5, 9], (300, 2))]
    every = events_of(log)
    whole, portions, single = (fitted_on(log[:20], PairSettings())[0] for _ in range(3))
    whole.append(every)
    for start in range(0, len(log), 7):
        portions.append(every.take(slice(start, start + 7)))
    for place in range(len(log)):
        single.append(every.take(slice(place, place + 1)))
        single.row(place % 9)
    single.compact()
    assert read(whole) == read(portions) == read(single)
    assert single.n_records < whole.n_records + portions.n_records


def test_large_sums_get_room() -> None:
    statistics, _ = fitted_on([(0, 0)], PairSettings(window=2, within=1))
    n = 70_000
    users = np.repeat(np.arange(1, n + 1), 2)
    statistics.append(Events(users, np.tile([1, 2], n)))
    row = statistics.row(1)
    assert (row.items.tolist(), row.users.tolist(), row.followed.tolist()) == ([2], [n], [n])
    assert (row.first.tolist(), row.after.tolist(), row.before.tolist()) == ([n], [n], [0])
    assert statistics.row(2).before.tolist() == [n]


def test_far_ids_are_counted() -> None:
    far = 2**31 - 1
    statistics, _ = fitted_on([(0, 0)], PairSettings())
    statistics.append(Events(np.array([far, far, far]), np.array([far, 4, far])))
    row = statistics.row(far)
    assert (row.items.tolist(), row.users.tolist()) == ([4, far], [1, 1])
    assert statistics.row(4).first.tolist() == [1]


def test_rows_come_in_the_order_asked() -> None:
    statistics, _ = fitted_on([(0, 1), (0, 2), (1, 2), (1, 3)], SMALL)
    statistics.append(events_of([(1, 1), (0, 5)]))
    rows = statistics.rows(np.array([2, 8, 2, 1]))
    assert len(rows) == 4
    assert rows.offsets.tolist() == [0, 3, 3, 6, 9]
    assert rows.items.tolist() == [1, 3, 5, 1, 3, 5, 2, 3, 5]
    assert rows.users.tolist() == [2, 1, 1, 2, 1, 1, 2, 1, 1]
    assert len(statistics.rows(np.array([], dtype=np.int32)).items) == 0


@given(log=LOGS, sources=st.lists(st.integers(0, 9), max_size=4), targets=st.lists(st.integers(0, 9), max_size=6))
@settings(max_examples=30, deadline=None)
def test_a_grid_is_what_the_rows_say(log: Log, sources: list[int], targets: list[int]) -> None:
    statistics, _ = fitted_on(log, SMALL)
    grid = statistics.between(np.array(sources, dtype=np.int64), np.array(targets, dtype=np.int64))
    found = read(statistics)
    for name in COLUMNS:
        expected = [[found.get((j, i), {}).get(name, 0.0) for i in targets] for j in sources]
        assert np.array_equal(getattr(grid, name), np.reshape(expected, (len(sources), len(targets))))


def test_what_touches_a_row_and_nothing_else_drops_it() -> None:
    cache = RowCache(records=5)
    row = (np.arange(2, dtype=np.int32), (np.arange(2),) * 6)
    for source in (1, 2):
        cache.put(source, row)
    assert cache.get(1) is row
    cache.drop([7, 2])
    assert (1 in cache, 2 in cache) == (True, False)
    cache.put(3, row)
    cache.get(1)
    cache.put(4, row)
    assert [source in cache for source in (1, 3, 4)] == [True, False, True]
    cache.put(5, (np.arange(6, dtype=np.int32), (np.arange(6),) * 6))
    assert 5 not in cache
    cache.clear()
    assert cache.nbytes == 0


def test_rows_that_are_kept_stay_up_to_date() -> None:
    random = generator(5)
    items = np.arange(200)
    log = Events(np.repeat(np.arange(60), 60), random.integers(0, 200, 3_600))
    base = dataset_of([[0, 1]], n_items=200, time="order")
    statistics, afresh = PairStatistics.of(base), PairStatistics.of(base)
    statistics.append(log)
    afresh.append(log)
    more = Events(random.integers(0, 80, 150), random.integers(0, 210, 150))
    for place in range(len(more)):
        statistics.append(more.take(slice(place, place + 1)))
        statistics.rows(items)
    afresh.append(more)
    afresh.compact()
    assert len(statistics.tables) > 1
    kept, found = vars(statistics.rows(items)), vars(afresh.rows(items))
    looked_up, expected = vars(statistics.between(items, items)), vars(afresh.between(items, items))
    assert all(np.array_equal(kept[name], found[name]) for name in found)
    assert all(np.array_equal(looked_up[name], expected[name]) for name in expected)


def test_a_kept_row_takes_what_is_new_and_more_than_fits() -> None:
    cache = RowCache(records=9)
    narrow = np.array([65_535, 1], dtype=np.uint16)
    cache.put(7, (np.array([2, 5], dtype=np.int32), tuple(narrow.copy() for _ in COLUMNS)))
    one = np.array([1], dtype=np.uint16)
    for item in (2, 4):
        cache.advance(table_of(np.array([(7 << 32) | item]), (one,) * 6))
    row = cache.get(7)
    assert row is not None
    assert row[0].tolist() == [2, 4, 5]
    assert [column.tolist() for column in row[1]] == [[65_536, 1, 1]] * 6
    cache.advance(table_of(np.array([7 << 32, (7 << 32) | 1]), (np.ones(2, dtype=np.uint16),) * 6))
    assert 7 not in cache


def test_bad_events_are_refused_and_change_nothing() -> None:
    statistics, histories = fitted_on([(0, 1), (0, 2)], SMALL)
    with pytest.raises(DataError, match="negative"):
        statistics.append(Events(np.array([0, 0]), np.array([3, -1])))
    statistics.append(Events(np.array([], dtype=np.int32), np.array([], dtype=np.int32)))
    assert same(read(statistics), counted(histories, SMALL))


def test_the_caller_may_use_its_arrays_again() -> None:
    statistics, histories = fitted_on([(0, 1), (0, 2)], SMALL)
    events = events_of([(0, 3)])
    statistics.append(events)
    events.items[:] = 7
    assert same(read(statistics), counted(told(histories, [(0, 3)]), SMALL))


def test_settings_that_contradict_are_refused() -> None:
    with pytest.raises(ValidationError, match="within"):
        PairSettings(window=2, within=3)
