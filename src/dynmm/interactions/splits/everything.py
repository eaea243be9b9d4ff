"""`none`: all events train in the end; a held-out slice selects before that."""

from __future__ import annotations

import numpy as np

from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits.casework import cases_of, events_per_user, from_the_end, split_of
from dynmm.interactions.splits.leave_last import MIN_EVENTS
from dynmm.interactions.splits.settings import SplitConfig
from dynmm.interactions.splits.split import TRAIN, VALIDATION, Split
from dynmm.randomness import generator
from dynmm.types import BoolArray

#: The slice is noisy below and needlessly slow above.
_FEWEST, _MOST = 200, 10_000


def selection_slice(dataset: Dataset, share: float, seed: int) -> BoolArray:
    """(N,) marks on one event of each user of a seeded sample: the last, or any where no order is known."""
    counts = events_per_user(dataset)
    eligible = np.flatnonzero(counts >= MIN_EVENTS)
    size = min(len(eligible), max(_FEWEST, min(_MOST, round(share * len(eligible)))))
    random = generator(seed, "split", "selection")
    chosen = np.zeros(dataset.n_users, bool)
    chosen[random.choice(eligible, size, replace=False)] = True
    if dataset.has_order:
        return np.asarray(chosen[dataset.events.users] & (from_the_end(dataset) == 0))
    marks = np.zeros(len(dataset.events), bool)
    users = np.flatnonzero(chosen)
    marks[dataset.offsets[users] + random.integers(0, counts[users])] = True
    return marks


def everything(dataset: Dataset, config: SplitConfig, seed: int) -> Split:
    """All events train: `train` lacks the slice that selects, `refit_train` lacks nothing."""
    held_out = selection_slice(dataset, config.selection_share, seed)
    parts = np.where(held_out, VALIDATION, TRAIN).astype(np.int8)
    which = "last event" if dataset.has_order else "events, one at random,"
    return split_of(
        "none",
        "",
        dataset,
        parts,
        cases_of(dataset, ~held_out, held_out),
        None,
        f"all events train; before that, the {which} of {int(held_out.sum()):,} users selects",
        refit_train=dataset,
    )
