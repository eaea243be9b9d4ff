"""The first control: a two-layer perceptron over user, item, their product and facts.

B questions, C candidates, F' features, M members.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn

from dynmm.language.alone import each_alone
from dynmm.language.inputs import CandidateFeatures
from dynmm.language.projections import Projections
from dynmm.language.slates import Shelf, Slates


class Perceptron(nn.Module):
    """Scores each candidate from its features, and from the user's and the item's latent. See `Reranker`.

    The score is the mean of a few members, which differ in their first weights and in whose questions they do not
    learn from, see `Folds`: one of them is worth what its seed is worth. Starts at zero everywhere: an untrained one
    changes no order.
    """

    def __init__(
        self, features: CandidateFeatures, width: int, *, hidden: int, rank: int, dropout: float, members: int = 5
    ) -> None:
        """width: D of the latents. hidden: of both layers. rank: numbers that user and item are projected to.
        members: M."""
        super().__init__()
        self.features = features
        self.members = nn.ModuleList(_Member(features.width, width, hidden, rank, dropout) for _ in range(members))

    def forward(self, slates: Slates, shelf: Shelf) -> Tensor:
        """(B, C) float32, where the weights are."""
        slates, score = slates.to(self.features.mean.device), partial(self._score, shelf=shelf)
        return score(slates) if self.training else each_alone(score, slates)

    def each(self, slates: Slates, shelf: Shelf) -> Tensor:
        """(M, B, C) float32: the members' scores, each of which is trained by its own loss."""
        known = self.features(slates, shelf)
        return torch.stack([one(known, slates, shelf) for one in self.members]).float()

    def only(self, members: Iterable[int]) -> Perceptron:
        """Some of the members by themselves; their weights are shared."""
        some = copy.copy(self)
        some._modules = self._modules | {"members": nn.ModuleList(self.members[one] for one in members)}
        return some

    def _score(self, slates: Slates, shelf: Shelf) -> Tensor:
        return self.each(slates, shelf).mean(0)


class _Member(nn.Module):
    def __init__(self, inputs: int, width: int, hidden: int, rank: int, dropout: float) -> None:
        super().__init__()
        self.projections = Projections(width, rank, dropout)
        self.layers = nn.Sequential(
            nn.Linear(inputs + 3 * rank, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
        )
        self.out = nn.Linear(hidden, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, known: Tensor, slates: Slates, shelf: Shelf) -> Tensor:
        """(B, C). known: (B, C, F')."""
        users, items = self.projections(slates, shelf)
        users = users[:, None].expand_as(items)
        scores: Tensor = self.out(self.layers(torch.cat([known, users, items, users * items], dim=-1)))[..., 0]
        return scores
