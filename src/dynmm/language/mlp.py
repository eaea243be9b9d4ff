"""The first control: a two-layer perceptron over user, item, their product and facts. B questions, C candidates."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from dynmm.language.alone import each_alone
from dynmm.language.inputs import CandidateFeatures
from dynmm.language.projections import Projections
from dynmm.language.slates import Shelf, Slates


class Perceptron(nn.Module):
    """Scores each candidate from its features, and from the user's and the item's latent. See `Reranker`.

    Starts at zero everywhere: an untrained one changes no order.
    """

    def __init__(self, features: CandidateFeatures, width: int, *, hidden: int, rank: int, dropout: float) -> None:
        """width: D of the latents. hidden: of both layers. rank: numbers that user and item are projected to."""
        super().__init__()
        self.features = features
        self.projections = Projections(width, rank, dropout)
        inputs = features.width + 3 * rank
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
        )
        self.out = nn.Linear(hidden, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, slates: Slates, shelf: Shelf) -> Tensor:
        """(B, C) float32."""
        score = partial(self._score, shelf=shelf)
        return score(slates) if self.training else each_alone(score, slates)

    def _score(self, slates: Slates, shelf: Shelf) -> Tensor:
        users, items = self.projections(slates, shelf)
        users = users[:, None].expand_as(items)
        known = torch.cat([self.features(slates, shelf), users, items, users * items], dim=-1)
        scores: Tensor = self.out(self.layers(known))[..., 0]
        return scores.float()
