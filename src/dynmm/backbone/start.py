"""The vector of a user without a history: the one that ranks the catalogue most nearly by popularity."""

from __future__ import annotations

import torch

from dynmm.backbone.sasrec import SASRec

_STEPS = 50

#: Keeps the vector finite where the items could be told apart without end.
_RIDGE = 1e-4


def fit_start(model: SASRec, counts: torch.Tensor) -> None:
    """Set `model.start` so that its softmax comes nearest to the items' shares. counts: (I,) events of each.

    A convex problem in D numbers, from zero: the same table and counts always give the same vector. The
    item table stays as it is.
    """
    with torch.no_grad():
        items = model.items()
        share = (counts / counts.sum()).to(items)
        wanted = share @ items
    start = torch.zeros_like(wanted).requires_grad_()
    optimizer = torch.optim.LBFGS([start], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        # Cross-entropy against the shares; its first term needs no pass over the items.
        value = torch.logsumexp(items @ start, 0) - wanted @ start + _RIDGE * start.square().sum()
        (start.grad,) = torch.autograd.grad(value, start)
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        model.start.copy_(start)
