"""The adapter's network: how far a latent moves, from where it stands and what the stream has lately done with it.

One flat vector holds all weights, so that averages, penalties and versions of it are one line each.
N rows, D width, S features, H hidden width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

#: Roles: items, users.
ITEM, USER = 0, 1


@dataclass(frozen=True)
class Shape:
    """Sizes of the network, which is two layers of ReLU for both roles and a linear gate for each."""

    width: int
    features: int
    hidden: int
    gated: bool

    @property
    def parts(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the weights, in the order in which they lie."""
        inputs = self.width + self.features
        return {
            "first": (self.hidden, inputs),
            "first_bias": (2, self.hidden),
            "second": (self.width, self.hidden),
            "second_bias": (2, self.width),
            "gate": (2, inputs),
            "gate_bias": (2,),
        }

    @property
    def size(self) -> int:
        """Weights in all."""
        return sum(math.prod(shape) for shape in self.parts.values())

    def split(self, flat: Tensor) -> dict[str, Tensor]:
        """The weights by name, as views. flat: (size,)."""
        found, start = {}, 0
        for name, shape in self.parts.items():
            count = math.prod(shape)
            found[name] = flat[start : start + count].view(shape)
            start += count
        return found

    def first_weights(self, draws: torch.Generator, *, gate_bias: float, zero: bool) -> Tensor:
        """(size,) float32. zero: the last layer is zero, so that an untrained adapter changes nothing."""
        flat = torch.zeros(self.size)
        parts = self.split(flat)
        inputs = self.width + self.features
        parts["first"].normal_(std=math.sqrt(2.0 / inputs), generator=draws)
        parts["gate_bias"].fill_(gate_bias)
        if not zero:
            parts["second"].normal_(std=math.sqrt(1.0 / self.hidden), generator=draws)
            parts["gate"].normal_(std=math.sqrt(1.0 / inputs), generator=draws)
        return flat


def shift(shape: Shape, flat: Tensor, role: int, vectors: Tensor, features: Tensor) -> Tensor:
    """(N, D): gate * g(vector, features), for vectors of about unit length.

    flat: (size,) weights. vectors: (N, D). features: (N, S).
    """
    parts = shape.split(flat)
    known = torch.cat([vectors, features], dim=-1)
    hidden = torch.relu(known @ parts["first"].t() + parts["first_bias"][role])
    moved = hidden @ parts["second"].t() + parts["second_bias"][role]
    if not shape.gated:
        return moved
    gate = torch.sigmoid(known @ parts["gate"][role] + parts["gate_bias"][role])
    return gate[..., None] * moved
