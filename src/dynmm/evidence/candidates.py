"""Some items in place of the whole catalogue: the strongest by several guides, and some drawn that stand for the rest.

B questions, I items, C candidates.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def candidates_of(
    targets: Tensor, guides: Sequence[Tensor], drawn: Tensor, most: int, barred: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Candidates (B, C) with for how many items each stands, (B, C), and which are none, (B, C) bool.

    targets: (B, 1), which come first. guides: (B, I) each, of which the `most` strongest are named. drawn: (B, D)
    items at random. barred: (B, I) bool, items that are no candidates. An item that stands in its row already is none.
    """
    n_items = guides[0].shape[1]
    named = [guide.topk(min(most, n_items), dim=1).indices for guide in guides]
    found = torch.cat([targets, *named, drawn], dim=1)
    repeated = _repeated(found)
    out = repeated if barred is None else repeated | barred.gather(1, found)
    # Each drawn candidate stands for as many of those that no guide names as there are for each drawn.
    width = drawn.shape[1]
    told = (~repeated[:, :-width]).sum(1)
    left = (~out[:, -width:]).sum(1).clamp(min=1)
    standing = torch.ones(found.shape, dtype=guides[0].dtype)
    standing[:, -width:] = ((n_items - told).clamp(min=1) / left)[:, None]
    return found, standing, out


def _repeated(candidates: Tensor) -> Tensor:
    """(B, C) bool: an item that stands further left in its row already."""
    ascending, order = candidates.sort(dim=1, stable=True)
    again = torch.zeros_like(candidates, dtype=torch.bool)
    again[:, 1:] = ascending[:, 1:] == ascending[:, :-1]
    return torch.zeros_like(again).scatter_(1, order, again)
