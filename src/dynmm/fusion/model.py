"""The joint stage as one module: item latents, the tower that reads them, decoders, the user's vector.

B users, L history length, R items, D joint width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize

from dynmm.fusion.latents import ItemLatents
from dynmm.protocols import SequenceTower

#: The temperature of L_mm begins here and is learned, within bounds.
_FIRST_SCALE, _LARGEST_SCALE = 1 / 0.07, 100.0


class JointModel(nn.Module):
    """Everything that the joint stage learns."""

    def __init__(
        self,
        latents: ItemLatents,
        tower: SequenceTower,
        widths: Sequence[int],
        temperature: float,
        init: torch.Generator | None = None,
    ) -> None:
        """widths: of the content modalities' features, which the decoders give back."""
        super().__init__()
        assert isinstance(tower, nn.Module)
        self.latents, self.tower, self.temperature = latents, tower, temperature
        width = latents.collaborative.shape[1]
        self.decoders = nn.ModuleList(nn.Linear(width, one) for one in (width, *widths))
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)
        self.scale = nn.Parameter(torch.tensor(math.log(_FIRST_SCALE)))
        self.start = nn.Parameter(torch.zeros(width), requires_grad=False)
        self._initialise(init)

    @torch.no_grad()
    def _initialise(self, init: torch.Generator | None) -> None:
        for layer in (*self.decoders, self.inner):
            assert isinstance(layer, nn.Linear)
            layer.weight.normal_(std=1 / math.sqrt(layer.in_features), generator=init)
            layer.bias.zero_()
        # h_base starts as the tower's own answer.
        self.outer.weight.zero_()
        self.outer.bias.zero_()

    def users(self, states: Tensor) -> Tensor:
        """h_base: (..., D) states of the tower to user vectors, unit length over the temperature."""
        moved = states + self.outer(gelu(self.inner(states))).float()
        return normalize(moved, dim=-1) / self.temperature

    def alignment_scale(self) -> Tensor:
        """One over the temperature of L_mm."""
        return self.scale.exp().clamp(max=_LARGEST_SCALE)

    def decode(self, z: Tensor) -> list[Tensor]:
        """The features of every modality, cf first, from latents of unit length: (R, W) each."""
        unit = normalize(z, dim=-1)
        return [decoder(unit) for decoder in self.decoders]
