"""What the stages need of one another. The assembly passes one stage to another as these, never as a class.

B users, I items, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from dynmm.types import IntArray, UserHistory


class VectorSpace(Protocol):
    """A frozen stage in which users and items are vectors and a score is their inner product."""

    @property
    def width(self) -> int:
        """D."""
        ...

    @property
    def item_vectors(self) -> torch.Tensor:
        """(I, D) float32."""
        ...

    def user_vectors(self, histories: Sequence[UserHistory]) -> torch.Tensor:
        """(B, D) float32, each from its own history alone."""
        ...


class SequenceTower(Protocol):
    """A module that reads a user's items as vectors out of a table that somebody else owns. L history length."""

    @property
    def width(self) -> int:
        """D."""
        ...

    def __call__(self, items: Tensor, lengths: Tensor, noise: torch.Generator | None, table: Tensor) -> Tensor:
        """What is known after each place, (B, L, D) float32.

        items: (B, L) int64 rows of the table, padded on the right. lengths: (B,) real items, at least 1 each.
        noise: draws the dropout of a training step; none means inference. table: (R, D).
        """
        ...

    def states(self, histories: Sequence[IntArray], table: Tensor) -> Tensor:
        """What is known after each history, (B, D) float32 without gradient; zeros for an empty one."""
        ...
