"""What is trained around the frozen model: vectors become its soft tokens, and its last states become scores.

B rows, D width of the joint latent, T token width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dynmm.training.dropout import drop

#: Rows that the size of untrained tokens is measured on.
_MEASURED = 4_096

#: A table whose vectors differ by less has no direction to tell them apart by.
_LEAST_SPREAD = 1e-6


class Projector(nn.Module):
    """Vectors to soft tokens by a two-layer MLP (the paper's Table 7), after standardising: one scale for all D."""

    mean: Tensor
    spread: Tensor

    def __init__(self, width: int, hidden: int, token_width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("spread", torch.ones(()))
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, token_width)
        nn.init.zeros_(self.outer.bias)

    @torch.no_grad()
    def fit(self, vectors: Tensor, norm: float) -> None:
        """Standardise by these vectors (N, D), and scale the output to the norm of the model's own tokens."""
        vectors = vectors.to(self.mean)
        if len(vectors):
            self.mean.copy_(vectors.mean(0))
            spread = (vectors - self.mean).square().mean().sqrt()
            self.spread.copy_(torch.where(spread > _LEAST_SPREAD, spread, torch.ones_like(spread)))
        self.scale(vectors[:: max(1, len(vectors) // _MEASURED)], norm)

    @torch.no_grad()
    def scale(self, vectors: Tensor, norm: float) -> None:
        """Make the mean norm of the tokens of these vectors (N, D) what is given."""
        if len(vectors) and (now := float(self(vectors).norm(dim=-1).mean())) > 0:
            self.outer.weight.mul_(norm / now)
            self.outer.bias.mul_(norm / now)

    def forward(self, vectors: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """(..., D) to (..., T) float32. noise: draws the dropout of a training step."""
        hidden = nn.functional.gelu(self.inner((vectors - self.mean) / self.spread))
        out: Tensor = self.outer(drop(hidden, self.dropout, noise))
        return out


class ReadOut(nn.Module):
    """The last hidden state at a candidate's own token to its score."""

    def __init__(self, token_width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.norm = nn.LayerNorm(token_width)
        self.score = nn.Linear(token_width, 1)

    def forward(self, hidden: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """(..., T) to (...) float32."""
        out: Tensor = self.score(drop(self.norm(hidden), self.dropout, noise)).squeeze(-1)
        return out
