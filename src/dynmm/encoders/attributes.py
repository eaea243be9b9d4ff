"""Words for what can be measured: each holds to a degree that rises between two documented values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Ramp:
    """0 up to `none`, 1 from `full` on, straight between. A `full` below `none` falls instead of rising."""

    measure: str
    none: float
    full: float

    def degree(self, value: float) -> float:
        return min(1.0, max(0.0, (value - self.none) / (self.full - self.none)))


@dataclass(frozen=True)
class Word:
    """A word that holds as far as the weakest of its ramps. meaning: what a person would look or listen for."""

    name: str
    meaning: str
    ramps: tuple[Ramp, ...]

    def degree(self, measures: Mapping[str, float]) -> float:
        return min(ramp.degree(measures[ramp.measure]) for ramp in self.ramps)


def degrees(words: Sequence[Word], measures: Mapping[str, float]) -> NDArray[np.float32]:
    """How much each of A words holds. Returns (A,) float32 in [0, 1]."""
    return np.array([word.degree(measures) for word in words], dtype=np.float32)
