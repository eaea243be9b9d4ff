"""What users like: mixtures of tastes, and how these move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynmm.randomness import generator
from dynmm.simulation.settings import (
    Drift,
    GradualDrift,
    NoDrift,
    RecurringDrift,
    SuddenDrift,
    WorldConfig,
)


@dataclass(frozen=True, eq=False)
class Tastes:
    """before, after: (U, F) float64, rows sum to 1. drifts: (U,) bool, whose taste moves. span: seconds."""

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    drifts: NDArray[np.bool_]
    drift: Drift
    span: float

    def moved(self, users: NDArray[np.integer], times: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) how far each user has come at each time (seconds), from 0 (`before`) to 1 (`after`)."""
        return np.where(self.drifts[users], _progress(self.drift, times, self.span), 0.0)

    def at(self, users: NDArray[np.integer], times: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, F) the tastes of users at times (seconds)."""
        moved = self.moved(users, times)[:, None]
        mixture: NDArray[np.float64] = (1.0 - moved) * self.before[users] + moved * self.after[users]
        return mixture


def make_tastes(config: WorldConfig, seed: int, users: int) -> Tastes:
    """Draw the tastes of all users, and those that they may drift to."""
    random = generator(seed, "tastes")
    before = _mixtures(config, users, random)
    if isinstance(config.drift, NoDrift):
        return Tastes(before, before, np.zeros(users, dtype=bool), config.drift, config.days * 86_400)
    random = generator(seed, "drift")
    after = _mixtures(config, users, random)
    drifts = random.random(users) < config.drift.share
    return Tastes(before, after, drifts, config.drift, config.days * 86_400)


def _mixtures(config: WorldConfig, users: int, random: np.random.Generator) -> NDArray[np.float64]:
    # Gamma draws of a tiny shape underflow together; a floor keeps every row a mixture.
    drawn = random.gamma(config.taste_focus, size=(users, config.factors)) + 1e-12
    mixtures: NDArray[np.float64] = drawn / drawn.sum(axis=1, keepdims=True)
    return mixtures


def _progress(drift: Drift, times: NDArray[np.float64], span: float) -> NDArray[np.float64]:
    progress: NDArray[np.float64] = np.zeros_like(times)
    if isinstance(drift, SuddenDrift):
        progress = (times >= drift.at * span).astype(np.float64)
    elif isinstance(drift, GradualDrift):
        progress = np.clip((times - drift.at * span) / ((drift.until - drift.at) * span), 0.0, 1.0)
    elif isinstance(drift, RecurringDrift):
        since = times - drift.at * span
        turns = np.floor(since / (drift.period_days * 86_400))
        progress = ((since >= 0) & (turns % 2 == 0)).astype(np.float64)
    return progress
