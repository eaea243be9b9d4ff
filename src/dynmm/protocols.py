"""What the stages need of one another. The assembly passes one stage to another as these, never as a class.

B users, I items, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from dynmm.types import UserHistory


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
