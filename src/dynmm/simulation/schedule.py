"""Who is active when: how many events each user has, and their moments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.randomness import generator
from dynmm.simulation.settings import WorldConfig

#: How the events of a day spread over its hours: few at night, most in the evening.
_HOURS = np.array(
    [2, 1, 1, 1, 1, 1, 2, 3, 4, 4, 4, 5, 6, 5, 4, 4, 5, 6, 8, 10, 11, 10, 7, 4],
    dtype=np.float64,
)
#: Users arrive during the first part of the span, more of them early.
_ARRIVAL_PART = 0.6


def make_schedule(
    config: WorldConfig, users: NDArray[np.int32], seed: int
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """(N,) users, grouped in the order given, and (N,) whole seconds since the start, increasing within a user."""
    random = generator(seed, "schedule")
    counts = _counts(config, len(users), random)
    rows = np.repeat(np.arange(len(users), dtype=np.int32), counts)
    span = int(config.days * 86_400)
    begins = _ARRIVAL_PART * random.random(len(users)) ** 2
    share = begins[rows] + random.random(len(rows)) * (1 - begins[rows])
    seconds = np.clip(_with_daily_rhythm(share * span, random), 0, span - 1).astype(np.int64)
    return users[rows], _apart(rows, seconds, counts, span).astype(np.float64)


def _counts(config: WorldConfig, users: int, random: np.random.Generator) -> NDArray[np.int64]:
    activity = random.lognormal(0.0, config.activity_skew, users)
    rest = config.events - users * config.min_events
    counts = config.min_events + random.multinomial(rest, activity / activity.sum())
    # A second for each event, and room for taste to choose where nothing is taken twice.
    most = int(config.days * 86_400) // 4
    most = most if config.repeats else min(most, config.items // 2)
    surplus = int(np.maximum(counts - most, 0).sum())
    # What nobody could take goes to those who can take more; a tiny world may end with fewer events.
    counts = np.minimum(counts, most) + random.multinomial(surplus, np.full(users, 1 / users))
    return np.maximum(np.minimum(counts, most), 1)


def _with_daily_rhythm(times: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    hour = np.searchsorted(np.cumsum(_HOURS) / _HOURS.sum(), random.random(len(times)), side="right")
    return np.floor(times / 86_400) * 86_400 + (hour + random.random(len(times))) * 3_600


def _apart(
    rows: NDArray[np.int32], times: NDArray[np.int64], counts: NDArray[np.int64], span: int
) -> NDArray[np.int64]:
    """The times in order within each user, at least a second apart, and below `span`."""
    stride = 2 * span + 2
    ordered = np.sort(rows * np.int64(stride) + times) - rows * np.int64(stride)
    starts = np.cumsum(counts) - counts
    place = np.arange(len(rows)) - np.repeat(starts, counts)
    # time - place must not fall, and place may push no event of the user's behind the end.
    slack = np.minimum(ordered - place, np.repeat(span - counts, counts))
    slack = np.maximum.accumulate(slack + rows * np.int64(stride)) - rows * np.int64(stride)
    apart: NDArray[np.int64] = slack + place
    return apart
