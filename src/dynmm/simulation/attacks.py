"""Attackers: fake users who push a few unpopular items and hide among popular ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynmm.randomness import generator
from dynmm.simulation.bursts import less_popular
from dynmm.simulation.catalogue import Catalogue
from dynmm.simulation.choices import repeated
from dynmm.simulation.sampling import Sampler
from dynmm.simulation.settings import AttackConfig


@dataclass(frozen=True, eq=False)
class Attack:
    """targets: items pushed. users, items: (N,) int32, times: (N,) whole seconds, by user, then time."""

    targets: NDArray[np.int32]
    users: NDArray[np.int32]
    items: NDArray[np.int32]
    times: NDArray[np.float64]


def make_attack(
    config: AttackConfig, span: float, catalogue: Catalogue, sampler: Sampler, attackers: NDArray[np.int32], seed: int
) -> Attack:
    """The events of the fake users: each takes every target once, at a random place among its events."""
    random = generator(seed, "attack")
    start = config.at * span
    there = np.flatnonzero(catalogue.there(start))
    pool = less_popular(catalogue, there, max(config.targets, len(there) // 2))
    targets = np.sort(random.choice(pool, min(config.targets, len(pool)), replace=False)).astype(np.int32)
    shape = (len(attackers), config.events_each)
    end = min(start + config.hours * 3_600, span)
    times = np.sort(start + random.random(shape) * (end - start), axis=1)
    items = sampler.popular(times.ravel(), random).reshape(shape)
    places = np.argsort(random.random(shape), axis=1)[:, : len(targets)]
    np.put_along_axis(items, places, np.broadcast_to(targets, places.shape), axis=1)
    users, taken = np.repeat(attackers, config.events_each), items.ravel()
    once = ~repeated(users, taken, len(catalogue.arrives))
    return Attack(targets, users[once], taken[once], np.floor(times.ravel()[once]))
