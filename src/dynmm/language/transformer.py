"""The second control: a small transformer, all of it trained, over history and candidates.

B questions, L history items, C candidates, W width of a token, N tokens.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from dynmm.language.alone import each_alone
from dynmm.language.inputs import CandidateFeatures
from dynmm.language.projections import Projections
from dynmm.language.settings import HEADS
from dynmm.language.slates import NOBODY, Shelf, Slates


class SmallTransformer(nn.Module):
    """Reads the user, the newest history items and the candidates as tokens of one sequence. See `Reranker`.

    Candidates have no order among themselves, history has. Starts at zero everywhere: an untrained one changes no
    order.
    """

    def __init__(
        self,
        features: CandidateFeatures,
        width: int,
        *,
        hidden: int,
        rank: int,
        dropout: float,
        blocks: int = 2,
        heads: int = HEADS,
        history: int = 20,
    ) -> None:
        """width: D of the latents. hidden: W. rank: numbers that latents are projected to before they become tokens.
        history: newest items that are read. Raises ValueError where heads do not divide W."""
        super().__init__()
        if hidden % heads:
            raise ValueError(f"the width {hidden} cannot be split among {heads} heads")
        self.features, self.history = features, history
        self.projections = Projections(width, rank, dropout)
        self.facts, self.latent = nn.Linear(features.width, hidden), nn.Linear(rank, hidden)
        self.place = nn.Parameter(torch.zeros(history, hidden))
        self.role = nn.Parameter(torch.zeros(3, hidden))
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(hidden, heads, dropout) for _ in range(blocks))
        self.norm, self.out = nn.LayerNorm(hidden), nn.Linear(hidden, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, slates: Slates, shelf: Shelf) -> Tensor:
        """(B, C) float32, where the weights are."""
        slates, score = slates.to(self.features.mean.device), partial(self._score, shelf=shelf)
        return score(slates) if self.training else each_alone(score, slates)

    def _score(self, slates: Slates, shelf: Shelf) -> Tensor:
        past = slates.history[:, -self.history :]
        users, items = self.projections(slates, shelf)
        candidates = self.facts(self.features(slates, shelf)) + self.latent(items) + self.role[2]
        # Places count from the newest, which stands last.
        places = self.place[: past.shape[1]].flip(0)
        before = self.latent(self.projections.of_items(past, shelf)) + places + self.role[1]
        tokens = self.drop(torch.cat([(self.latent(users) + self.role[0])[:, None], before, candidates], dim=1))
        there = torch.ones_like(past[:, :1], dtype=torch.bool)
        visible = torch.cat([there, past != NOBODY, slates.present], dim=1)
        for block in self.blocks:
            tokens = block(tokens, visible)
        scores: Tensor = self.out(self.norm(tokens[:, -slates.items.shape[1] :]))[..., 0]
        return scores.float()


class _Block(nn.Module):
    """Attention and a two-layer net, each behind a normalisation and beside a shortcut."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.net = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, visible: Tensor) -> Tensor:
        """tokens: (B, N, W). visible: (B, N) bool, tokens that may be looked at; at least one."""
        parts = self.ask(self.first(tokens)).unflatten(-1, (3, self.heads, -1)).transpose(1, 3)
        queries, keys, values = parts.unbind(2)
        looked = functional.scaled_dot_product_attention(
            queries, keys, values, visible[:, None, None], dropout_p=self.dropout if self.training else 0.0
        )
        tokens = tokens + self.drop(self.mix(looked.transpose(1, 2).flatten(2)))
        after: Tensor = tokens + self.drop(self.net(self.second(tokens)))
        return after
