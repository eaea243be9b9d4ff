"""`full`: each user's last event tests, the second last selects, the rest trains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import UnsupportedByData
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits.casework import cases_of, events_per_user, from_the_end, split_of
from dynmm.interactions.splits.requirements import need_order
from dynmm.interactions.splits.split import TEST, TRAIN, VALIDATION, Split

#: A user needs one event of each part.
MIN_EVENTS = 3


def leave_last_parts(dataset: Dataset) -> NDArray[np.int8]:
    """(N,) int8 parts. Users with fewer than three events only train."""
    parts = np.full(len(dataset.events), TRAIN, np.int8)
    enough = (events_per_user(dataset) >= MIN_EVENTS)[dataset.events.users]
    behind = from_the_end(dataset)
    parts[enough & (behind == 0)] = TEST
    parts[enough & (behind == 1)] = VALIDATION
    return parts


def full(dataset: Dataset) -> Split:
    """Leave last out. At test the validation event is in the history, and in nobody's training.

    Raises UnsupportedByData where the order is not known or no user has three events.
    """
    need_order(dataset, "split 'full' (leave last out)")
    parts = leave_last_parts(dataset)
    if not (parts == TEST).any():
        raise UnsupportedByData(
            f"split 'full' needs users with at least {MIN_EVENTS} events; {dataset.info.name!r} has none. "
            "Use split 'none', or 'holdout' by time"
        )
    return split_of(
        "full",
        "leave-last-out",
        dataset,
        parts,
        cases_of(dataset, parts == TRAIN, parts == VALIDATION),
        cases_of(dataset, parts != TEST, parts == TEST),
        "each user's last event tests, the second last selects, the rest trains",
        counts={"users who only train": int((events_per_user(dataset) < MIN_EVENTS).sum())},
    )
