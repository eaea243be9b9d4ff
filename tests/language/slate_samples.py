"""Small slates of random numbers, shared by the tests of the re-rankers."""

from __future__ import annotations

import torch

from dynmm.language.slates import NOBODY, Shelf, Slates

ITEMS, WIDTH, FACTS = 30, 8, 4


def shelf(seed: int = 0, items: int = ITEMS, width: int = WIDTH) -> Shelf:
    """Random items with titles."""
    draws = torch.Generator().manual_seed(seed)
    taken = torch.randint(1, 50, (items,), generator=draws).float()
    return Shelf(torch.randn(items, width, generator=draws), taken, [f"item {one}" for one in range(items)])


def slates(
    count: int = 12, candidates: int = 6, *, seed: int = 0, history: int = 5, facts: int = FACTS, padding: int = 0
) -> Slates:
    """Random questions; each row ends in ``padding`` empty places, and begins with some empty history."""
    draws = torch.Generator().manual_seed(seed + 1)
    order = torch.rand(count, ITEMS, generator=draws).argsort(1)
    items = order[:, :candidates].clone()
    past = order[:, candidates : candidates + history].clone()
    for row in range(count):
        past[row, : row % history] = NOBODY
    latent = torch.randn(count, candidates, generator=draws)
    evidence = torch.rand(count, candidates, generator=draws)
    scores = (latent + evidence).sort(dim=1, descending=True).values
    told = torch.rand(count, candidates, facts, generator=draws)
    if padding:
        items[:, -padding:], scores[:, -padding:] = NOBODY, -torch.inf
        latent[:, -padding:], told[:, -padding:] = 0.0, 0.0
    return Slates(torch.randn(count, WIDTH, generator=draws), past, items, scores, latent, told)
