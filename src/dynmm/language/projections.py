"""Few numbers for the latents of users and items. B questions, C candidates, D width of the latents."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dynmm.language.slates import Shelf, Slates

_LEAST = 1e-12


class Projections(nn.Module):
    """Users and items as unit vectors, projected; dropout keeps a few thousand answers from being learned by heart."""

    def __init__(self, width: int, rank: int, dropout: float) -> None:
        """width: D. rank: R, numbers that come out."""
        super().__init__()
        self.user, self.item = nn.Linear(width, rank), nn.Linear(width, rank)
        self.drop = nn.Dropout(dropout)

    def forward(self, slates: Slates, shelf: Shelf) -> tuple[Tensor, Tensor]:
        """(B, R) of the users and (B, C, R) of the candidates."""
        return self.drop(self.user(_evened(slates.users))), self.of_items(slates.items, shelf)

    def of_items(self, items: Tensor, shelf: Shelf) -> Tensor:
        """(..., R) of dense items; at padding something finite."""
        projected: Tensor = self.drop(self.item(_evened(shelf.vectors.to(items.device)[items.clamp(min=0)])))
        return projected


def _evened(vectors: Tensor) -> Tensor:
    """The same directions, with a mean square of one a number."""
    scale = vectors.shape[-1] ** 0.5
    evened: Tensor = vectors * (scale / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True).clamp(min=_LEAST))
    return evened
