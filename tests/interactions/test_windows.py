"""Windows lie on UTC boundaries, and each event is in one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynmm.errors import ConfigError, UnsupportedByData
from dynmm.interactions.windows import parse_duration, tie_groups, windows
from dynmm.types import Events

HOUR = 3_600_000


def stream(times: list[int]) -> Events:
    numbers = np.arange(len(times), dtype=np.int32)
    return Events(numbers, numbers, np.array(times, np.int64))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("1h", HOUR), ("1d", 24 * HOUR), ("30 min", HOUR // 2), ("7D", 168 * HOUR), (250, 250), ("5", 5)],
)
def test_durations(text: str | int, wanted: int) -> None:
    assert parse_duration(text) == wanted


@pytest.mark.parametrize("text", ["", "h", "1 fortnight", "0h", "-1h", -5])
def test_no_duration(text: str | int) -> None:
    with pytest.raises(ConfigError, match="is no duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["99999999999999999999d", "36501d", 10**18])
def test_a_window_longer_than_a_century_is_none(text: str | int) -> None:
    with pytest.raises(ConfigError, match=r"longer than 100 years"):
        parse_duration(text)
    assert parse_duration("36500d") == 36_500 * 24 * HOUR


def test_boundaries_are_multiples_of_the_duration() -> None:
    start = 444_444 * HOUR
    found = list(windows(stream([start - 1, start, start + HOUR - 1, start + 5 * HOUR]), "1h"))
    assert [(w.start, w.end) for w in found] == [
        (start - HOUR, start),
        (start, start + HOUR),
        (start + 5 * HOUR, start + 6 * HOUR),
    ]
    assert [(w.first, w.events.items.tolist()) for w in found] == [(0, [0]), (1, [1, 2]), (3, [3])]


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 20))
def test_windows_and_ties_partition_the_stream(times: list[int], width: int) -> None:
    events = stream(sorted(times))
    assert [i for w in windows(events, width) for i in w.events.items.tolist()] == list(range(len(times)))
    assert all(w.start % width == 0 for w in windows(events, width))
    offsets = tie_groups(events)
    groups = [sorted(times)[a:b] for a, b in pairwise(offsets.tolist())]
    assert [len(set(group)) for group in groups] == [1] * len(set(times))


def test_streams_without_time_or_order_are_refused() -> None:
    numbers = np.zeros(2, np.int32)
    with pytest.raises(UnsupportedByData, match="with timestamps"):
        tie_groups(Events(numbers, numbers))
    with pytest.raises(UnsupportedByData, match="event 1 is earlier"):
        list(windows(stream([5, 4]), "1h"))
