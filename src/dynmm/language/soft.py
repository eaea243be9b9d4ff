"""What is trained around the frozen model: vectors become its soft tokens, and its last states become scores.

B rows, D width of the joint latent, T token width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Rows that the size of untrained tokens is measured on.
_MEASURED = 4_096

#: A table whose vectors differ by less has no direction to tell them apart by.
_LEAST_SPREAD = 1e-6


class Encoder(nn.Module):
    """Numbers that are standardised already to soft tokens, by a two-layer MLP: facts."""

    def __init__(self, width: int, hidden: int, token_width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.drop = nn.Dropout(dropout)
        self.outer = nn.Linear(hidden, token_width)
        nn.init.zeros_(self.outer.bias)

    @torch.no_grad()
    def scale(self, vectors: Tensor, norm: float) -> None:
        """Make the mean norm of the tokens of these vectors (N, D) what is given. Dropout must be off."""
        if len(vectors) and (now := float(self(vectors).norm(dim=-1).mean())) > 0:
            self.outer.weight.mul_(norm / now)
            self.outer.bias.mul_(norm / now)

    def forward(self, vectors: Tensor) -> Tensor:
        """(..., D) to (..., T)."""
        out: Tensor = self.outer(self.drop(nn.functional.gelu(self.inner(vectors))))
        return out


class Projector(Encoder):
    """Vectors to soft tokens by a two-layer MLP (the paper's Table 7), after standardising: one scale for all D."""

    mean: Tensor
    spread: Tensor

    def __init__(self, width: int, hidden: int, token_width: int, dropout: float = 0.0) -> None:
        super().__init__(width, hidden, token_width, dropout)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("spread", torch.ones(()))

    @torch.no_grad()
    def fit(self, vectors: Tensor, norm: float) -> None:
        """Standardise by these vectors (N, D), and scale the output to the norm of the model's own tokens."""
        vectors = vectors.to(self.mean)
        if len(vectors):
            self.mean.copy_(vectors.mean(0))
            spread = (vectors - self.mean).square().mean().sqrt()
            self.spread.copy_(torch.where(spread > _LEAST_SPREAD, spread, torch.ones_like(spread)))
        self.scale(vectors[:: max(1, len(vectors) // _MEASURED)], norm)

    def forward(self, vectors: Tensor) -> Tensor:
        """(..., D) to (..., T)."""
        return super().forward((vectors - self.mean) / self.spread)


class ReadOut(nn.Module):
    """The last hidden state at a candidate's own token to its score; 0 until it is trained."""

    def __init__(self, token_width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(token_width)
        self.drop = nn.Dropout(dropout)
        self.score = nn.Linear(token_width, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., T) to (...) float32."""
        out: Tensor = self.score(self.drop(self.norm(hidden)))
        return out.squeeze(-1).float()
