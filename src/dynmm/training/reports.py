"""What a fit tells after every epoch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch.

    epoch: 1 first. epochs: planned. loss: mean over the epoch's places. validation: NDCG@10, None without
    validation cases and in the first epochs, where it is not asked. seconds: of training and validating this
    epoch. best_epoch: so far; always the newest as long as there is no validation.
    """

    epoch: int
    epochs: int
    loss: float
    validation: float | None
    seconds: float
    best_epoch: int
