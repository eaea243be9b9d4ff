"""User vectors from histories: batches by each history's own length, so that no user's vector depends on another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from dynmm.backbone.sasrec import SASRec
from dynmm.types import IntArray

#: Padded lengths are multiples of this, which also keeps every product of the inference path at 8 rows or more.
LENGTH_STEP = 8

#: Places of one inference batch: enough for fast products, some 30 MB of activations at width 256.
INFERENCE_PLACES = 8192


@torch.no_grad()
def user_vectors(model: SASRec, histories: Sequence[IntArray]) -> torch.Tensor:
    """(B, D) float32 on the model's device, in the order of the histories."""
    device = model.item_table.device
    found = torch.empty(len(histories), model.item_table.shape[1], device=device)
    for rows, items, lengths in inference_batches(histories, model.positions):
        found[torch.from_numpy(rows).to(device)] = model.encode(items.to(device), lengths.to(device)).float()
    return found


@torch.no_grad()
def newest_states(model: SASRec, histories: Sequence[IntArray], table: torch.Tensor) -> torch.Tensor:
    """(B, D) float32: what is known after each history's last item, before it is a user vector.

    table: (I, D) to look items up in, on the model's device. Rows of empty histories are zero.
    """
    found = torch.zeros(len(histories), table.shape[1], device=table.device)
    for rows, items, lengths in inference_batches(histories, model.positions):
        states = model.newest(items.to(table.device), lengths.clamp(min=1).to(table.device), table)
        found[torch.from_numpy(rows).to(table.device)] = states.float()
    return torch.where(_any_item(histories, table.device), found, torch.zeros_like(found))


def _any_item(histories: Sequence[IntArray], device: torch.device) -> torch.Tensor:
    return torch.tensor([len(one) > 0 for one in histories], dtype=torch.bool, device=device)[:, None]


def inference_batches(
    histories: Sequence[IntArray], positions: int, *, places: int = INFERENCE_PLACES
) -> Iterator[tuple[NDArray[np.int64], torch.Tensor, torch.Tensor]]:
    """Batches of equal padded length over the newest `positions` items of each history.

    histories: (L,) dense items each, oldest first. Yields rows (B,), items (B, L) int64, lengths (B,) int64.
    """
    lengths = np.fromiter((min(len(one), positions) for one in histories), np.int64, len(histories))
    padded = np.maximum(1, -(-lengths // LENGTH_STEP)) * LENGTH_STEP
    for width in np.unique(padded).tolist():
        members = np.flatnonzero(padded == width)
        size = max(1, places // width)
        for start in range(0, len(members), size):
            rows = members[start : start + size]
            items = np.zeros((len(rows), width), dtype=np.int64)
            for at, row in enumerate(rows.tolist()):
                if lengths[row]:
                    items[at, : lengths[row]] = histories[row][-lengths[row] :]
            yield rows, torch.from_numpy(items), torch.from_numpy(lengths[rows])
