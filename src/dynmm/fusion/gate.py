"""How much each present modality of an item counts in its latent."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_ABSENT = -1e30


class Gate(nn.Module):
    """a_m = softmax over present modalities of a learned score, of quality, and of agreement.

    The learned score is one number for each modality. A score that reads x_m itself was tried: it learns that
    what trained is best told by the collaborative vectors, and leaves content no weight (experiment log, E8).

    Where the collaborative modality is absent, the trust of each other modality is added. Training hardly tells it:
    there the collaborative vector is nearly always beside it, and of the items trained on the features that single
    out an item look as good as those that say something (experiment log, E22).

    Agreement is the mean cosine of the modality's projected latent with those of the others that are present:
    quality alone cannot tell a sharp picture of the wrong thing. R items, M modalities, cf first.
    """

    def __init__(self, modalities: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(modalities))
        self.quality = nn.Parameter(torch.ones(modalities))
        self.agreement = nn.Parameter(torch.ones(modalities))
        #: (M,), set after training, see `trust.Explained.trust`; that of cf is 0.
        self.trust: Tensor
        self.register_buffer("trust", torch.zeros(modalities))

    def forward(self, projected: Sequence[Tensor], present: Tensor, quality: Tensor) -> Tensor:
        """(R, M) weights that sum to 1; zeros where nothing is present.

        projected: M of (R, P), unit length. present: (R, M) bool. quality: (R, M).
        """
        scores = self.bias + self.quality * quality + self.agreement * agreement(projected, present)
        scores = scores + self.trust * ~present[:, :1]
        weights = torch.softmax(scores.masked_fill(~present, _ABSENT), dim=-1)
        return weights * present


def mean_gate(present: Tensor) -> Tensor:
    """(R, M): present modalities alike, zeros where nothing is present."""
    there = present.float()
    return there / there.sum(1, keepdim=True).clamp(min=1)


def agreement(projected: Sequence[Tensor], present: Tensor) -> Tensor:
    """(R, M): mean cosine with the other present modalities, 0 where there is none."""
    there = present.float()
    held = [part.float() * there[:, m : m + 1] for m, part in enumerate(projected)]
    total = torch.stack(held).sum(0)
    others = (there.sum(1, keepdim=True) - there).clamp(min=1)
    own = torch.stack([(part * (total - part)).sum(-1) for part in held], 1)
    return own / others
