"""The cut: training events held back, to fit what stands on stages that must not have seen them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dynmm.errors import UnsupportedByData
from dynmm.interactions.cases import Cases
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits.casework import cases_of, events_per_user, from_the_end, times_of
from dynmm.interactions.splits.eventwise import each_event
from dynmm.interactions.splits.holdout import time_cut
from dynmm.interactions.windows import window_starts
from dynmm.types import BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class Cut:
    """before: the training events without those that were held back. asked: the cases that these make."""

    before: Dataset
    asked: Cases


def cut_last(train: Dataset) -> Cut:
    """Hold back the last event of every user with at least two.

    Latents and counts have seen the training targets, so a stage above that trains on the same targets trusts
    them too much (cross-fitting). Where the order within a user is not known, the last row is held back: any
    event is as good as another. Validation is left out of both sides: it selects and never trains.
    """
    last = (from_the_end(train) == 0) & (events_per_user(train) >= 2)[train.events.users]
    return Cut(train.keep(~last, validation=None), cases_of(train, ~last, last))


def cut_time(train: Dataset, share: float, most: int, *, window: str | int | None = None) -> Cut:
    """Hold back the last share of the events by time, and ask about each as a stream would.

    What is learned for a stream has to know how its questions are spread: over users who have just come and users who
    have been there for long, each at any point of their way. most: questions. window: within which a stream would know
    nothing of what happens; the cut is at the start of one. Raises UnsupportedByData where the events have no moment
    to cut at, ConfigError for a bad window.
    """
    times = times_of(train)
    assert times is not None, "a stream has times"
    later = later_by_time(times, share, "the cut", window)
    return Cut(train.keep(~later, validation=None), each_event(train, later, most, window=window))


def later_by_time(times: IntArray, share: float, purpose: str, window: str | int | None) -> BoolArray:
    """(N,) the last share of these moments, ms UTC, and what the window that it begins in has besides.

    Raises UnsupportedByData where they have no moment to cut at, ConfigError for a bad window.
    """
    moments = times.astype(np.int64)
    cut = np.asarray([time_cut(moments, 1 - share, purpose)])
    found: BoolArray = window_starts(moments, window) >= window_starts(cut, window)
    if found.all():
        raise UnsupportedByData(
            f"{purpose} finds no moment to cut at: all events fall into one window of {window}; name a shorter one"
        )
    return found
