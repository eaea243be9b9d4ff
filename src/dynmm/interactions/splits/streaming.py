"""`stream`: the first 70 % by time trains, the rest is replayed event by event."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import UnsupportedByData
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits.casework import split_of, times_of
from dynmm.interactions.splits.cut import later_by_time
from dynmm.interactions.splits.eventwise import each_event
from dynmm.interactions.splits.holdout import time_cut
from dynmm.interactions.splits.requirements import need_time
from dynmm.interactions.splits.settings import SplitConfig
from dynmm.interactions.splits.split import TEST, TRAIN, VALIDATION, Split

#: Most questions of validation, spread evenly over the slice: each reads a whole history, after every epoch.
_MOST = 1_000


def stream(dataset: Dataset, config: SplitConfig) -> Split:
    """Training part and stream; the training part's own last slice selects, then all of it is refitted.

    Validation asks about the events of the slice as the stream will: each after everything that came before it, or
    before its window, see `SplitConfig.stream_window`. Raises UnsupportedByData where events have no timestamps, or all
    the same one, ConfigError for a bad window.
    """
    times, stream_from = _begins(dataset, config)
    before = times < stream_from
    parts = np.where(before, TRAIN, TEST).astype(np.int8)
    notes: tuple[str, ...] = ()
    try:
        later = later_by_time(times[before], config.validation_share, "its validation slice", config.stream_window)
    except UnsupportedByData as reason:
        notes = (f"nothing is held out for selection: {reason}",)
    else:
        parts[np.flatnonzero(before)[later]] = VALIDATION
    order = dataset.in_time_order()
    return split_of(
        "stream",
        "time",
        dataset,
        parts,
        each_event(dataset.keep(before), parts[before] == VALIDATION, _MOST, window=config.stream_window),
        None,
        f"the first {config.stream_train_share:.0%} of the events by time train, the rest is replayed; the last "
        f"{config.validation_share:.0%} of the training part select before it is refitted whole",
        stream=dataset.events.take(order[times[order] >= stream_from]),
        refit_train=dataset.keep(before),
        counts={"stream from (ms UTC)": stream_from},
        notes=notes,
    )


def before_stream(dataset: Dataset, config: SplitConfig) -> Dataset:
    """The events that come before the stream: all that a fit under this split is given. Raises as `stream` does."""
    times, stream_from = _begins(dataset, config)
    return dataset.keep(times < stream_from)


def _begins(dataset: Dataset, config: SplitConfig) -> tuple[NDArray[np.int64], int]:
    """The times of all events, and the moment at which the stream begins, ms UTC."""
    purpose = "split 'stream'"
    need_time(dataset, purpose)
    times = times_of(dataset)
    assert times is not None
    return times, time_cut(times, config.stream_train_share, purpose)
