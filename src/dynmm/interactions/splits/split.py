"""What every split yields: training data, validation cases, and test cases or a stream."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dynmm.interactions.cases import Cases
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.fields import SplitName
from dynmm.types import BoolArray, Events

#: Codes of `Split.parts`. UNUSED events are in no part; `Split.counts` says why.
TRAIN, VALIDATION, TEST, UNUSED = 0, 1, 2, 3

#: `Split.variant` of a run from which people were deleted since its fit.
AFTER_DELETION = "after a deletion"


@dataclass(frozen=True, eq=False)
class Split:
    """One way of holding out, applied.

    name and variant: which (`holdout` has user, time, given; `cold` has few, hidden). source: the data
    that was split, after k-core. parts: (N,) int8, the part of each event of `source`; in a stream, TEST is
    the stream. train: the training events over the same vocabularies, with `validation` set.
    validation, test: cases; test is None where nothing is tested (`none`) or a stream takes its place.
    stream: events to replay, in time order, equal timestamps together. refit_train: what to train on once
    selection is done; None where `train` is final. cold_items: (I,) items to restrict candidates to.
    counts, notes: what went where, and what a reader of the numbers must know.
    """

    name: SplitName
    variant: str
    source: Dataset
    parts: NDArray[np.int8]
    train: Dataset
    validation: Cases
    test: Cases | None
    description: str
    stream: Events | None = None
    refit_train: Dataset | None = None
    cold_items: BoolArray | None = None
    counts: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
