"""Scores questions one by one, so that what one gets does not depend on which others are in the batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dynmm.language.slates import Slates


def each_alone(score: Callable[[Slates], Tensor], slates: Slates) -> Tensor:
    """(B, C): ``score`` of each question by itself.

    BLAS chooses kernels, and so the order of its sums, by the number of rows: a batch of several would move last bits.
    """
    if len(slates) == 1:
        return score(slates)
    rows = [score(slates.take(slice(row, row + 1))) for row in range(len(slates))]
    return torch.cat(rows) if rows else slates.scores.new_zeros(slates.items.shape)
