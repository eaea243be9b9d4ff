"""Dropout from random bytes."""

from __future__ import annotations

import torch
from torch import Tensor


def drop(values: Tensor, rate: float, noise: torch.Generator | None) -> Tensor:
    """Inverted dropout from random bytes of `noise`; unchanged where there is no noise or the rate is 0.

    One byte decides one element, so the rate is rounded to 1/256. Eight decisions for one 64-bit draw make
    it several times as fast on a CPU as one float for each element.
    """
    cut = round(rate * 256)
    if noise is None or cut <= 0:
        return values
    count = values.numel()
    draws = torch.empty((count + 7) // 8, dtype=torch.int64, device=values.device)
    draws.random_(-(2**63), None, generator=noise)
    kept = draws.view(torch.uint8)[:count].view(values.shape) >= cut
    return values * (kept.to(values.dtype) * (256 / (256 - cut)))
