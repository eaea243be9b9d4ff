"""A stream cut into windows on UTC boundaries, and into groups of events of the same moment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import ConfigError, UnsupportedByData
from dynmm.interactions.dataset import Dataset
from dynmm.types import Events

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
#: 100 years of 365 days: beyond it nothing is a window, and sums of moments leave 64 bits at some length.
_LONGEST_MS = 36_500 * 86_400_000


@dataclass(frozen=True, eq=False)
class Window:
    """The events with start <= timestamp < end (ms UTC): rows `first` to `first + len(events)` of the stream."""

    start: int
    end: int
    first: int
    events: Events


def parse_duration(text: str | int) -> int:
    """Milliseconds of "1h", "30min", "1d", "7d", "250ms", or of a number of milliseconds. Raises ConfigError."""
    if isinstance(text, int):
        amount = text
    else:
        match = re.fullmatch(r"\s*(\d+)\s*([a-z]*)\s*", text.lower())
        if match is None or (match[2] or "ms") not in _UNITS_MS:
            raise ConfigError(f"{text!r} is no duration; write a number and a unit of {', '.join(_UNITS_MS)}, e.g. 1h")
        amount = int(match[1]) * _UNITS_MS[match[2] or "ms"]
    if amount <= 0:
        raise ConfigError(f"{text!r} is no duration: it must be longer than nothing, e.g. 1h")
    if amount > _LONGEST_MS:
        raise ConfigError(f"{text!r} is longer than 100 years; write a shorter one, e.g. 1d")
    return amount


def usual_window(dataset: Dataset) -> str:
    """An hour, or a day where the data knows days alone."""
    return "1d" if dataset.info.time_resolution == "day" else "1h"


def window_starts(times: NDArray[np.int64], duration: str | int | None) -> NDArray[np.int64]:
    """(N,) ms UTC: where the window of each moment starts; without a duration, each moment itself.

    Raises ConfigError for a bad duration.
    """
    if duration is None:
        return times
    width = parse_duration(duration)
    return np.asarray(times // width * width, dtype=np.int64)


def windows(events: Events, duration: str | int) -> Iterator[Window]:
    """The windows that have events, in order. events: in time order, each with a timestamp.

    Boundaries are multiples of the duration since 1970-01-01 UTC, so that they do not depend on the data.
    Raises UnsupportedByData for events without timestamps, ConfigError for a bad duration.
    """
    width = parse_duration(duration)
    times = _times(events)
    starts = window_starts(times, width)
    for first, behind in pairwise(_edges(starts).tolist()):
        start = int(starts[first])
        yield Window(start, start + width, first, events.take(slice(first, behind)))


def tie_groups(events: Events) -> NDArray[np.int64]:
    """(G+1,) offsets: group g holds the rows `[offsets[g]:offsets[g+1]]`, all of one timestamp.

    events: in time order, each with a timestamp. Raises UnsupportedByData otherwise.
    """
    return _edges(_times(events))


def _edges(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where runs of equal values begin, and the end; [0] where there are none."""
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    return np.unique(np.concatenate([[0], changes, [len(values)]])).astype(np.int64)


def _times(events: Events) -> NDArray[np.int64]:
    if events.timestamps is None:
        raise UnsupportedByData("windows need events with timestamps, and these have none")
    times = events.timestamps.astype(np.int64, copy=False)
    if (times[1:] < times[:-1]).any():
        row = int(np.flatnonzero(times[1:] < times[:-1])[0]) + 1
        raise UnsupportedByData(f"windows need events in time order, and event {row} is earlier than the one before it")
    return times
