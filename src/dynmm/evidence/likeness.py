"""How alike two items are in one modality: the encoder's own likeness, untouched by any training.

I items, W width of the encoder, A named attributes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dynmm.catalogue.features import Features
from dynmm.types import BoolArray

#: An attribute holds from this value on.
HOLDS = 0.6


@dataclass(frozen=True, eq=False)
class Likeness:
    """Features standardised by dimension over the items of the fit that have them, then of length 1.

    features: of I items. mean, spread: (W,) of the items of the fit.
    """

    features: Features
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]

    @classmethod
    def of(cls, features: Features) -> Likeness:
        """Standardised by these items."""
        known = features.vectors[features.present].astype(np.float64)
        if not len(known):
            return cls(features, np.zeros(features.width), np.ones(features.width))
        spread = known.std(axis=0)
        return cls(features, known.mean(axis=0), np.where(spread > 0, spread, 1.0))

    def seen(self, features: Features) -> Likeness:
        """The same scale over other features: with added items, or with a modality dropped."""
        return replace(self, features=features)

    @property
    def modality(self) -> str:
        return self.features.modality

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """(I, W) of length 1, zeros where absent: inner products are cosines."""
        standard = (self.features.vectors - self.mean) / self.spread
        standard[~self.features.present] = 0.0
        lengths = np.linalg.norm(standard, axis=1, keepdims=True)
        return np.asarray(standard / np.maximum(lengths, 1e-12), dtype=np.float32)

    @cached_property
    def holding(self) -> BoolArray:
        """(I, A): which named attributes hold."""
        named = self.features.attributes
        if named is None:
            return np.zeros((self.features.n_items, 0), np.bool_)
        return np.asarray(np.nan_to_num(named.values, nan=0.0) >= HOLDS)

    def words(self, one: int, other: int) -> list[str]:
        """Attributes that hold for both items, the clearest first."""
        named = self.features.attributes
        if named is None:
            return []
        both = np.flatnonzero(self.holding[one] & self.holding[other])
        clear = np.minimum(named.values[one, both], named.values[other, both])
        return [named.names[place] for place in both[np.argsort(-clear, kind="stable")]]
