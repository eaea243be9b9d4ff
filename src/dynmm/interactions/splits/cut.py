"""The cut: each user's last training event held back, to fit what stands on stages that must not have seen it."""

from __future__ import annotations

from dataclasses import dataclass

from dynmm.interactions.cases import Cases
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits.casework import cases_of, events_per_user, from_the_end


@dataclass(frozen=True, eq=False)
class Cut:
    """before: the training events without each user's last. asked: what came next, a case for each such user."""

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
