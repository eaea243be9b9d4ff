"""Questions about single events in the order of time, and the cut that holds them back."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from dynmm import Dataset, DatasetInfo
from dynmm.errors import ConfigError, UnsupportedByData
from dynmm.interactions.splits.cut import cut_time, later_by_time
from dynmm.interactions.splits.eventwise import each_event
from dynmm.testing.data import tiny_dataset


def _of(rows: list[tuple[str, str, int]]) -> Dataset:
    users, items, times = zip(*rows, strict=True)
    frame = pl.DataFrame({"user_id": users, "item_id": items, "timestamp": [10**12 + one for one in times]})
    return Dataset.from_frames(frame, info=DatasetInfo("few", time_resolution="second"))


_FEW = _of([("a", "x", 0), ("a", "y", 5), ("b", "x", 5), ("a", "z", 9), ("b", "y", 9), ("a", "w", 9), ("c", "x", 12)])


def _asked(
    after: int, most: int = 99, *, window: int | None = None, first: bool = False
) -> list[tuple[str, str, list[str], int]]:
    times = _FEW.events.timestamps
    assert times is not None
    cases = each_event(_FEW, times >= 10**12 + after, most, window=window, first=first)
    assert cases.passed is not None
    names = _FEW.items.ids
    return [
        (
            _FEW.users.ids[int(cases.users[case])],
            names[int(cases.targets(case)[0])],
            [names[int(item)] for item in cases.history(case).items],
            int(cases.passed[case]),
        )
        for case in range(len(cases))
    ]


def test_each_event_is_asked_after_all_that_came_before_its_moment() -> None:
    # c has no event before; y and x at 5 do not know of each other, nor do z, y and w at 9.
    assert _asked(5) == [
        ("a", "y", ["x"], 0),
        ("a", "z", ["x", "y"], 2),
        ("a", "w", ["x", "y"], 2),
        ("b", "y", ["x"], 2),
    ]


def test_within_a_window_nothing_knows_of_anything() -> None:
    # Windows of ten: what came at 0, 5 and 9 is one, and c comes alone in the next.
    assert _asked(0, window=10) == []
    assert _asked(9, window=4) == [("a", "z", ["x", "y"], 0), ("a", "w", ["x", "y"], 0), ("b", "y", ["x"], 0)]
    # 8 to 11 is one window, 12 to 15 the next: three events were passed by then.
    assert _asked(9, window=4, first=True) == [("c", "x", [], 3)]
    assert [one[:3] for one in _asked(0, window=10, first=True)] == [
        ("a", "x", []),
        ("a", "y", []),
        ("b", "x", []),
        ("a", "z", []),
        ("a", "w", []),
        ("b", "y", []),
        ("c", "x", []),
    ]


def test_the_cut_is_at_the_start_of_a_window() -> None:
    data = tiny_dataset(users=20, events=300)
    times = data.events.timestamps
    assert times is not None
    window = int(times.max() - times.min()) // 7
    later = later_by_time(times, 0.2, "the cut", window)
    first = int(times[later].min())
    assert later.sum() >= 0.2 * 300
    assert first // window > int(times[~later].max()) // window
    assert (later_by_time(times, 0.2, "the cut", None) <= later).all()
    cut = cut_time(data, 0.2, 1_000, window=window)
    assert len(cut.before.events) == (~later).sum()
    assert cut.asked.as_of is not None
    for case in range(len(cut.asked)):
        moments = cut.asked.history(case).timestamps
        assert moments is not None
        assert moments.max() // window < int(cut.asked.as_of[case]) // window


def test_one_window_of_all_has_no_moment_to_cut_at() -> None:
    times = np.asarray([5, 6, 7, 8, 9])
    with pytest.raises(UnsupportedByData, match="all events fall into one window of 1d"):
        later_by_time(times, 0.2, "the cut", "1d")
    with pytest.raises(ConfigError, match="no duration"):
        later_by_time(times, 0.2, "the cut", "soon")


def test_of_many_as_many_are_taken_evenly() -> None:
    assert [one[1] for one in _asked(5, most=2)] == ["y", "y"]
    assert _asked(5, most=2)[-1][0] == "b"


def test_what_happens_along_stands_in_the_order_of_time() -> None:
    data = tiny_dataset(users=20, events=300)
    times = data.events.timestamps
    assert times is not None
    middle = int(np.median(times))
    cases = each_event(data, times >= middle, 1_000)
    assert cases.along is not None
    assert cases.passed is not None
    assert cases.as_of is not None
    assert cases.along.timestamps is not None
    assert (np.diff(cases.along.timestamps) >= 0).all()
    for case in range(0, len(cases), 7):
        assert cases.history(case).timestamps is not None
        assert (cases.history(case).timestamps < cases.as_of[case]).all()
        passed = int(cases.passed[case])
        assert (cases.along.timestamps[:passed] < cases.as_of[case]).all()
        assert (cases.along.timestamps[passed:] >= cases.as_of[case]).all()


def test_some_of_the_questions_keep_what_happens_along() -> None:
    data = tiny_dataset(users=20, events=300)
    times = data.events.timestamps
    assert times is not None
    cases = each_event(data, times >= int(np.median(times)), 1_000)
    some = cases.take(np.asarray([3, 9, 20]))
    assert some.along is cases.along
    assert some.passed is not None
    assert cases.passed is not None
    assert some.passed.tolist() == cases.passed[[3, 9, 20]].tolist()


def test_the_cut_in_time_holds_the_last_events_back() -> None:
    data = tiny_dataset(users=20, events=300)
    cut = cut_time(data, 0.2, 1_000)
    assert cut.before.events.timestamps is not None
    assert cut.asked.along is not None
    assert cut.asked.along.timestamps is not None
    assert cut.before.events.timestamps.max() < cut.asked.along.timestamps.min()
    assert len(cut.before.events) + len(cut.asked.along) == 300
    assert cut.before.validation is None
