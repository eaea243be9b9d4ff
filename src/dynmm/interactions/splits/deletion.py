"""The split of a run from which people were deleted: what trained is known, and nothing is held out any more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.interactions.cases import Cases
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.fields import SplitName
from dynmm.interactions.splits.casework import split_of
from dynmm.interactions.splits.split import AFTER_DELETION, TRAIN, VALIDATION, Split

#: The kinds whose final fit trained on the events that had selected, too.
_REFITTED: tuple[SplitName, ...] = ("none", "stream")


def after_deletion(name: SplitName, source: Dataset, parts: NDArray[np.int8]) -> Split:
    """The parts as they were; no cases and no stream, for those who were deleted would be missing from them."""
    trained = source.keep((parts == TRAIN) | (parts == VALIDATION)) if name in _REFITTED else None
    return split_of(
        name,
        AFTER_DELETION,
        source,
        parts,
        _nobody(source),
        None,
        "what trained, without the people who were deleted since; nothing is held out",
        refit_train=trained,
        notes=("people were deleted since the fit, so this run is measured no more; fit again to measure",),
    )


def _nobody(source: Dataset) -> Cases:
    none, start = np.empty(0, np.int32), np.zeros(1, np.int64)
    times = np.empty(0, np.int64) if source.has_time else None
    return Cases(none, none, start, none, start, times, times)
