"""Questions about events one after the other, each with all that its user did before that moment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.interactions.cases import Cases
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.windows import window_starts
from dynmm.types import BoolArray


def each_event(
    dataset: Dataset, asked: BoolArray, most: int, *, first: bool = False, window: str | int | None = None
) -> Cases:
    """A case for each marked event whose user did something before its moment, in the order of time.

    first: for each whose user did nothing before it, instead. asked: (N,) marks; events with marks happen along the
    questions, those without came before all of them or are none of this. most: cases; of more, as many are taken
    evenly. Events of one moment do not know of each other, nor do those of one window where there is one, "1h" or ms:
    then "before" is before its start. Needs timestamps. Raises ConfigError for a bad window.
    """
    times = dataset.events.timestamps
    assert times is not None, "questions in the order of time need times"
    users, items = dataset.events.users, dataset.events.items
    order = dataset.in_time_order()
    along = order[asked[order]]
    moments = window_starts(times.astype(np.int64), window)
    before = _earlier(dataset, moments)
    can = along[(before[along] == 0) if first else (before[along] > 0)]
    if len(can) > most:
        can = can[np.linspace(0, len(can) - 1, most).astype(np.int64)]
    starts = dataset.offsets[users[can]]
    lengths = before[can]
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = np.repeat(starts - ends[:-1], lengths) + np.arange(ends[-1])
    return Cases(
        users=users[can].astype(np.int32),
        history_items=items[rows].astype(np.int32),
        history_offsets=ends,
        target_items=items[can].astype(np.int32),
        target_offsets=np.arange(len(can) + 1, dtype=np.int64),
        history_times=times[rows].astype(np.int64),
        as_of=times[can].astype(np.int64),
        along=dataset.events.take(along),
        passed=np.searchsorted(moments[along], moments[can], side="left").astype(np.int64),
    )


def _earlier(dataset: Dataset, times: NDArray[np.integer]) -> NDArray[np.int64]:
    """(N,) events of the same user at an earlier moment. Events of a user stand in the order of time."""
    rows = np.arange(len(times))
    firsts = dataset.offsets[dataset.events.users]
    new = np.ones(len(times), bool)
    new[1:] = (times[1:] != times[:-1]) | (dataset.events.users[1:] != dataset.events.users[:-1])
    first_of_moment = np.maximum.accumulate(np.where(new, rows, 0))
    return np.asarray(first_of_moment - firsts, dtype=np.int64)
