"""Counts over the last days, whichever way the window came to where it is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dynmm.evidence.lately import LatelyCounts, LatelySay
from dynmm.evidence.timeline import Timeline

SPAN = 100
SAY = 3
#: Enough of them that to count anew costs more than to move on by an event or two.
ITEMS = 20_000


@pytest.fixture
def told() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) moments and pairs of 1,000 events, some of them told twice; the first user takes many items at a time."""
    draws = np.random.default_rng(3)
    times = np.sort(draws.integers(0, 1_000, 1_000))
    users = np.where(draws.random(1_000) < 0.3, 0, draws.integers(1, 40, 1_000))
    return times, draws.integers(0, 60, 1_000) * 300 << 32 | users


def people(times: NDArray[np.int64], pairs: NDArray[np.int64], moment: int) -> NDArray[np.int64]:
    """(I,) by the definition."""
    within = np.unique(pairs[(times > moment - SPAN) & (times <= moment)])
    return np.bincount(within >> 32, minlength=ITEMS)


def say(times: NDArray[np.int64], pairs: NDArray[np.int64], moment: int) -> NDArray[np.float64]:
    """(I,) by the definition: of each user what so many items leave to each, in whole parts."""
    sums = np.zeros(ITEMS, dtype=np.int64)
    within = np.unique(pairs[(times > moment - SPAN) & (times <= moment)])
    for user in np.unique(within & 0xFFFFFFFF):
        own = within[within & 0xFFFFFFFF == user] >> 32
        sums[own] += LatelySay.WHOLE * min(len(own), SAY) // len(own)
    return sums / LatelySay.WHOLE


#: Small steps on, a leap, small steps, back, and steps again; at each end some moments twice.
WALK = [*range(100, 180), 180, 180, 600, *range(600, 660, 2), 300, 299, *range(300, 350), 2_000, 2_001, 2_500]


def test_a_window_that_walks_counts_as_one_that_is_counted_anew(
    told: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> None:
    times, pairs = told
    timeline = Timeline(times, pairs)
    counts, said = LatelyCounts(timeline, SPAN), LatelySay(timeline, SPAN, SAY)
    stepped = 0
    for moment in WALK:
        np.testing.assert_array_equal(counts.users(moment, ITEMS), people(times, pairs, moment))
        np.testing.assert_array_equal(said.said(moment, ITEMS), say(times, pairs, moment))
        some = np.asarray([0, 600, 301])
        np.testing.assert_array_equal(said.said(moment, ITEMS, some), say(times, pairs, moment)[some])
        stepped += bool(said._held) and bool(counts._held)
    assert stepped > 80, "the walk is to move by what enters and leaves most of the time"


def test_late_events_and_new_items_count_while_it_walks(told: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
    times, pairs = told
    timeline = Timeline(times[:500], pairs[:500])
    said = LatelySay(timeline, SPAN, SAY)
    first, newest = int(times[300]), int(times[499])
    for moment in range(first, newest):
        said.said(moment, ITEMS)
    assert said._held
    # The rest, and one event that is far too late: it has its place among those that were there.
    timeline.add(np.append(times[500:], newest - 20), np.append(pairs[500:], 7 << 32 | 5))
    times, pairs = np.append(times, newest - 20), np.append(pairs, 7 << 32 | 5)
    for moment in range(newest, newest + 40):
        found = said.said(moment, ITEMS + 10)
        np.testing.assert_array_equal(found[:ITEMS], say(times, pairs, moment))
        assert len(found) == ITEMS + 10
    assert found[7] > 0


def test_what_is_written_down_is_put_away_when_the_window_leaps(
    told: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> None:
    timeline = Timeline(*told)
    said = LatelySay(timeline, SPAN, SAY)
    plain = said.nbytes
    for moment in range(100, 150):
        said.said(moment, ITEMS)
    assert said.nbytes > plain + 8 * ITEMS
    said.said(900, ITEMS)
    assert said.nbytes == plain + 8 * ITEMS
