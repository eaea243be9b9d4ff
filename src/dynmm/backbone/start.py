"""The vector of a user without a history: the one that ranks the catalogue most nearly by popularity."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize

from dynmm.backbone.sasrec import SASRec

_STEPS = 100


def fit_start(model: SASRec, counts: torch.Tensor) -> None:
    """Set `model.start` so that its softmax comes nearest to the items' shares. counts: (I,) events of each.

    The item table stays as it is. Always the same result for the same table and counts: there is nothing
    random in it.
    """
    with torch.no_grad():
        items = model.items()
        share = ((counts + 1e-3) / (counts + 1e-3).sum()).to(items)
        wanted = share @ items
    start = normalize(wanted, dim=-1).clone().requires_grad_()
    optimizer = torch.optim.Adam([start], lr=0.02)
    for _ in range(_STEPS):
        user = model.users(start)
        # Cross-entropy against the shares; its first term needs no pass over the items.
        loss = torch.logsumexp(items @ user, 0) - wanted @ user
        (start.grad,) = torch.autograd.grad(loss, start)
        optimizer.step()
    with torch.no_grad():
        model.start.copy_(normalize(start, dim=-1))
