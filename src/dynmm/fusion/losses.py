"""L_mm and L_recon of the paper's section 4.2, as they run.

R items, M modalities with cf first, P projected width, D joint width, W an encoder's width.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

#: Two items whose projected latents of a modality are this close count as the same content.
_SAME = 0.9999

_NEVER = -1e30


def alignment(
    projected: Sequence[Tensor], own: Tensor, scale: Tensor, *, one_way: bool = False, without: Collection[int] = ()
) -> Tensor:
    """L_mm: symmetric InfoNCE over every pair of modalities, on projected latents; mean over pairs.

    projected: M of (R, P), unit length, of distinct items. own: (R, M) bool, which parts exist and are the
    item's own. scale: one over the temperature, a number. An item is no negative of one with the same content.
    one_way, without: in one direction, and some of the M left out; the paper's Eq. 4 is one way and without audio.
    Zero where no pair has two items.
    """
    losses = []
    for m, n in combinations([m for m in range(len(projected)) if m not in without], 2):
        rows = (own[:, m] & own[:, n]).nonzero().flatten()
        if len(rows) < 2:
            continue
        one, other = projected[m][rows], projected[n][rows]
        logits = scale * (one @ other.t())
        target = torch.arange(len(rows), device=logits.device)
        loss = cross_entropy(logits.masked_fill(_same(other), _NEVER), target)
        if not one_way:
            loss = (loss + cross_entropy(logits.t().masked_fill(_same(one), _NEVER), target)) / 2
        losses.append(loss)
    return torch.stack(losses).mean() if losses else scale.sum() * 0


@torch.no_grad()
def _same(vectors: Tensor) -> Tensor:
    """(R, R) bool: other items with the same content."""
    alike = (vectors @ vectors.t()) > _SAME
    return alike.fill_diagonal_(False)


def reconstruction(decoded: Sequence[Tensor], wanted: Sequence[Tensor], present: Tensor) -> Tensor:
    """L_recon: squared error of the decoded features, a mean over dimensions, items and modalities.

    decoded, wanted: M of (R, W). present: (R, M) bool; absent modalities do not count. Features are
    standardised to length about 1, so a dimension's variance is about 1/W: errors are relative to it.
    """
    losses = []
    for m, (guess, truth) in enumerate(zip(decoded, wanted, strict=True)):
        rows = present[:, m]
        if rows.any():
            losses.append((guess.float() - truth)[rows].square().sum(-1).mean())
    return torch.stack(losses).mean() if losses else decoded[0].sum() * 0
