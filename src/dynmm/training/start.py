"""The vector of a user without a history: the one that ranks the catalogue most nearly by popularity."""

from __future__ import annotations

import torch

_STEPS = 50

#: Keeps the vector finite where the items could be told apart without end.
_RIDGE = 1e-4


def start_vector(items: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """(D,) whose softmax over the items comes nearest to their shares. items: (I, D). counts: (I,) events of each.

    A convex problem in D numbers, from zero: the same items and counts always give the same vector.
    """
    with torch.no_grad():
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
    return start.detach()
