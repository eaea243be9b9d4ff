"""The backbone's transformer without its item table: it reads whatever vectors it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from dynmm.backbone.inference import newest_states
from dynmm.backbone.pretraining import build_model
from dynmm.backbone.settings import BackboneSettings
from dynmm.types import IntArray


class Tower(nn.Module):
    """A `SequenceTower`: the sequence model over a table that somebody else owns. B users, L history, D width."""

    def __init__(self, settings: BackboneSettings, weights: Mapping[str, Tensor] | None = None) -> None:
        """settings: resolved. weights: of a fitted backbone, to begin as it; its item table is left behind."""
        super().__init__()
        # A table of one row, which is never read.
        self.reader = build_model(settings, 1)
        self.reader.item_table.requires_grad_(False).zero_()
        if weights is not None:
            own = self.reader.state_dict()
            kept = {name: value for name, value in weights.items() if name not in ("item_table", "start")}
            self.reader.load_state_dict(own | kept)

    @property
    def width(self) -> int:
        """D."""
        return int(self.reader.item_table.shape[1])

    @property
    def length(self) -> int:
        """Items of a history that are read, the newest ones."""
        return self.reader.positions

    def forward(self, items: Tensor, lengths: Tensor, noise: torch.Generator | None, table: Tensor) -> Tensor:
        """(B, L, D) float32: what is known after each place. items: (B, L) rows of table. See `SASRec.forward`."""
        known: Tensor = self.reader(items, lengths, noise, table)
        return known

    def states(self, histories: Sequence[IntArray], table: Tensor) -> Tensor:
        """(B, D) float32: what is known after each history, each from its own alone; zeros for an empty one."""
        return newest_states(self.reader, histories, table)
