"""Score against the share of the evidence removed: the strongest facts first, and in random order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.evaluation.removals import Removals
from dynmm.evaluation.scores import Resampling, Users, intervals

STRONGEST, RANDOM = "strongest first", "random order"


def curve_losses(
    removals: Removals, shares: Sequence[float], draws: int, rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Order -> (S,) score lost at each share of the facts removed; the random order is averaged over `draws`.

    A share of n facts is rounded up, so that every share above zero removes at least one.
    """
    facts = sorted(removals.told.explained.evidence, key=lambda one: (-one.contribution, one.id))
    counts = [int(np.ceil(round(share * len(facts), 9))) for share in shares]

    def lost(order: Sequence[int]) -> list[float]:
        return [removals.without_facts(facts[place].id for place in order[:count])[0] for count in counts]

    at_random = [lost(rng.permutation(len(facts)).tolist()) for _ in range(draws)]
    return {STRONGEST: np.array(lost(range(len(facts)))), RANDOM: np.mean(at_random, axis=0)}


def curves_json(
    curves: Mapping[str, NDArray[np.float64]], shares: Sequence[float], users: Users, how: Resampling
) -> dict[str, Any]:
    """Mean and 95 % interval at each share; `area`: the mean gap between the curves over the shares."""
    told: dict[str, Any] = {"shares": list(shares), "orders": {}}
    for order, losses in curves.items():
        columns = list(losses.T)
        bounds = intervals(columns, users, how)
        told["orders"][order] = [
            {"mean": users.mean(column), "ci95": list(ci95)} for column, ci95 in zip(columns, bounds, strict=True)
        ]
    gap = (curves[STRONGEST] - curves[RANDOM]).mean(axis=1)
    told["area"] = {"mean": users.mean(gap), "ci95": list(intervals([gap], users, how)[0])}
    return told
