"""From what is known of an item to its joint latent: input layers, shared trunk, gate (the paper's section 4.2).

The paper's "shared projector" cannot take four widths. Here each content modality has an input layer of its
own width, and one trunk is shared behind them; the collaborative modality is a table of joint width already.
R items, M content modalities, D joint width, P projected width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize

from dynmm.fusion.content import Content
from dynmm.fusion.gate import Gate, mean_gate
from dynmm.training.dropout import drop

#: P, the width in which modalities are compared.
PROJECTED = 64

#: Standard deviation of gelu(z) for z ~ N(0, 1), about its root mean square.
_GELU_SIZE = 0.65


@dataclass(frozen=True, eq=False)
class Latents:
    """z: (R, D). parts: M + 1 of (R, D), cf first. weights: (R, M + 1), of the gate. projected: M + 1 of (R, P),
    unit length. shown: (R, M + 1) bool, which modalities the latent was made of. own: (R, M + 1) bool, which
    parts are the item's own and not swapped in."""

    z: Tensor
    parts: tuple[Tensor, ...]
    weights: Tensor
    projected: tuple[Tensor, ...]
    shown: Tensor
    own: Tensor


class ItemLatents(nn.Module):
    """z_base(i) = sum over present modalities m of a_m(i) x_m(i)."""

    def __init__(
        self,
        collaborative: Tensor,
        widths: Sequence[int],
        *,
        hidden: int,
        learned_gate: bool,
        train_collaborative: bool,
        content_dropout: float,
        init: torch.Generator | None = None,
    ) -> None:
        """collaborative: (I, D), the backbone's input vectors. widths: of the content modalities' features."""
        super().__init__()
        width = collaborative.shape[1]
        self.content_dropout = content_dropout
        self.collaborative = nn.Parameter(collaborative.clone(), requires_grad=train_collaborative)
        self.inputs = nn.ModuleList(nn.Linear(own, hidden) for own in widths)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in widths)
        self.trunk = nn.Linear(hidden, width)
        self.heads = nn.ModuleList(nn.Linear(width, PROJECTED, bias=False) for _ in range(len(widths) + 1))
        self.gate = Gate(len(widths) + 1) if learned_gate else None
        self._initialise(init)

    @torch.no_grad()
    def _initialise(self, init: torch.Generator | None) -> None:
        for layer in self.inputs:
            assert isinstance(layer, nn.Linear)
            # Small, so that steps of the usual rate turn it: the norm behind it takes any scale.
            layer.weight.normal_(std=1 / math.sqrt(layer.in_features), generator=init)
            layer.bias.zero_()
        # Content begins as long as the collaborative vectors are, so that neither drowns the other.
        length = float(self.collaborative.norm(dim=1).mean())
        hidden, width = self.trunk.in_features, self.trunk.out_features
        self.trunk.weight.normal_(std=length / (_GELU_SIZE * math.sqrt(hidden * width)), generator=init)
        self.trunk.bias.zero_()
        for head in self.heads:
            assert isinstance(head, nn.Linear)
            head.weight.normal_(std=1 / math.sqrt(width), generator=init)

    def content_parts(self, content: Content, noise: torch.Generator | None = None) -> list[Tensor]:
        """x_m of each content modality, (R, D)."""
        found = []
        for vectors, layer, norm in zip(content.vectors, self.inputs, self.norms, strict=True):
            x = drop(vectors, self.content_dropout, noise)
            found.append(self.trunk(gelu(norm(layer(x)))))
        return found

    def forward(
        self,
        content: Content,
        collaborative: Tensor | None,
        *,
        noise: torch.Generator | None = None,
        modality_dropout: float = 0.0,
        swap: float = 0.0,
    ) -> Latents:
        """The latents of the content's R items.

        collaborative: (R, D) input vectors, None for items without. noise: draws dropout, hidden modalities and
        swapped content in a training step; none means inference.
        """
        parts = self.content_parts(content, noise)
        if collaborative is None:
            collaborative = torch.zeros_like(parts[0], dtype=torch.float32)
        own = content.present
        if noise is not None and swap > 0:
            parts, own = _swapped(parts, own, swap, noise)
        every = (collaborative, *parts)
        projected = tuple(normalize(head(part).float(), dim=-1) for head, part in zip(self.heads, every, strict=True))
        shown = content.present
        if noise is not None and modality_dropout > 0:
            shown = _partly_hidden(shown, modality_dropout, noise)
        weights = mean_gate(shown) if self.gate is None else self.gate(projected, shown, content.quality)
        z = torch.stack([weights[:, m, None] * part.float() for m, part in enumerate(every)]).sum(0)
        return Latents(z, every, weights, projected, shown, own)


def _partly_hidden(present: Tensor, rate: float, noise: torch.Generator) -> Tensor:
    """Each modality of an item hidden with this chance; an item that would lose all of them keeps all."""
    kept = present & (torch.rand(present.shape, generator=noise, device=present.device) >= rate)
    return torch.where(kept.any(1, keepdim=True), kept, present)


def _swapped(parts: list[Tensor], own: Tensor, rate: float, noise: torch.Generator) -> tuple[list[Tensor], Tensor]:
    """Some items with another item's content: the next one's in a random rotation, where both have it."""
    found, marks = [], own.clone()
    for m, part in enumerate(parts, start=1):
        step = int(torch.randint(1, max(2, len(part)), (1,), generator=noise, device=own.device))
        other = torch.roll(part, step, 0)
        moved = torch.rand(len(part), generator=noise, device=own.device) < rate
        moved = moved & own[:, m] & torch.roll(own[:, m], step, 0)
        found.append(torch.where(moved[:, None], other, part))
        marks[:, m] &= ~moved
    return found, marks
