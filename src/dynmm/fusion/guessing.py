"""Latents of items that nobody took: a share of each is guessed from all its content by regression.

The network knows by heart the items that it was trained on. A regression cannot, and errs otherwise on new ones, so
that both together say more than either (experiment log, E22). R items, D joint width.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from dynmm.fusion.content import Content
from dynmm.fusion.latents import Latents
from dynmm.fusion.regressor import ContentRegressor
from dynmm.threads import one_thread

#: Rows of each product, filled up where there are fewer: what one item gets must not depend on how many others are new.
_ROWS = 64


def partly_guessed(found: Latents, content: Content, guesser: ContentRegressor, share: float) -> Latents:
    """The same with a share of each new item's latent guessed, at the length of what it is mixed with.

    The guess is linear, so each modality gets what it adds, and the parts still sum to the latent. share: 0 to 1.
    """
    alone = (~content.present[:, 0] & content.present[:, 1:].any(1)).nonzero().flatten()
    if share == 0 or not len(alone):
        return found
    parts = [part.float().clone() for part in found.parts]
    mixed = found.z.clone()
    for rows in torch.split(alone, _ROWS):
        with one_thread():  # the same bits whoever opens the run
            shares = _shares(guesser, content, rows)
        guess = torch.stack(shares).sum(0) + guesser.bias
        weights, z = found.weights[rows], found.z[rows]
        scale = z.norm(dim=1, keepdim=True) / guess.norm(dim=1, keepdim=True).clamp(min=1e-12)
        for m, added in enumerate(shares, start=1):
            weight = weights[:, m : m + 1]
            own = torch.where(weight > 0, added / weight.clamp(min=1e-12) + guesser.bias, torch.zeros_like(added))
            parts[m][rows] = (1 - share) * parts[m][rows] + share * scale * own
        mixed[rows] = (1 - share) * z + share * scale * guess
    return replace(found, parts=tuple(parts), z=mixed)


def _shares(guesser: ContentRegressor, content: Content, rows: Tensor) -> list[Tensor]:
    """What each modality adds to the guess, (R, D) each. rows: (R,), at most `_ROWS`."""
    filled = torch.cat([rows, rows[:1].expand(_ROWS - len(rows))])
    return [one[: len(rows)] for one in guesser.shares(content.take(filled))]
