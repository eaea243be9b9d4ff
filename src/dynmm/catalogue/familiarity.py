"""Vectors that are no work of their encoder: damaged, or of something that it never sees.

The numbers of an encoder's vectors hang together: a few directions hold most of what tells two pictures apart. In
noise they do not, however right each number is by itself. So a vector is judged by how much of it lies outside the
directions in which those of other items lie. I items, W numbers in a vector, D directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dynmm.catalogue.features import Features, LeftOut
from dynmm.randomness import generator
from dynmm.types import BoolArray, FloatArray

#: Items that directions are found on, and as many on which it is measured what the others have outside of them.
#: Fewer than the least say too little of the few in a hundred that lie furthest outside.
_LEAST, _MOST = 100, 2_000

#: Shares of the directions that may be kept; the one that tells best counts.
_KEPT = (1 / 24, 1 / 12, 1 / 6, 1 / 3)

#: At the limit so much of noise lies further outside. No stricter: items of a new kind, which are nothing damaged, lie
#: between noise and the items of the fit.
_CAUGHT = 0.98

#: The limit lies in a gap, or is none: of the other items at most one in a thousand is so near to it, on either side.
_NEAR, _APART = 0.001, 0.05

#: What more than a tenth of the other items are is nothing strange.
_MANY = 0.1

#: So much less than the mean squared distance from the mean is hardly a difference.
_LITTLE = 0.01

REASON = (
    "its {modality} features are unlike those of the other items, as noise would be; they are left out, so "
    "look at the file"
)


@dataclass(frozen=True, eq=False)
class Familiar:
    """What vectors of one modality look like.

    mean: (W,). directions: (W, D), orthonormal. limit: the share of a vector's squared distance from the mean that may
    lie outside the directions; None where vectors cannot be told from noise: few items, or numbers that hang together
    too little. spread: the mean of that distance.
    """

    mean: FloatArray
    directions: FloatArray
    limit: float | None
    spread: float

    @classmethod
    def of(cls, features: Features, *, swapped: bool = False) -> Familiar:
        """Found on the items that have the modality, at most `_MOST` for the directions and as many for the limit.

        swapped: with the parts of either exchanged.
        """
        width = features.width
        there = np.flatnonzero(features.present)
        chosen = generator(0, "familiarity").permutation(there)[: 2 * _MOST]
        halves = [features.vectors[part].astype(np.float64) for part in np.array_split(chosen, 2)]
        found, held = reversed(halves) if swapped else halves
        unknown = cls(np.zeros(width), np.zeros((width, 0)), None, 0.0)
        if len(held) < _LEAST or width < 1 / _KEPT[0]:
            return unknown
        mean = found.mean(0)
        moved = found - mean
        covariance = moved.T @ moved / len(moved)
        spread = float(covariance.trace())
        if not (np.isfinite(spread) and spread > 0):
            return unknown
        directions = np.linalg.eigh(covariance)[1][:, ::-1]
        noise = mean + generator(0, "noise").standard_normal(held.shape) * np.sqrt(covariance.diagonal())
        best = (0.0, unknown)
        for kept in sorted({round(share * min(width, len(found))) for share in _KEPT}):
            some = cls(mean, directions[:, :kept], None, spread)
            limit = float(np.quantile(some.outside(noise), 1 - _CAUGHT))
            shares = some.outside(held)
            alone = (np.abs(shares - limit) < _APART).mean() <= _NEAR and (shares > limit).mean() <= _MANY
            apart = limit - float(np.quantile(shares[shares <= limit], 1 - _NEAR, method="lower")) if alone else 0.0
            if apart > best[0]:
                best = (apart, replace(some, limit=limit))
        return best[1]

    def outside(self, vectors: NDArray[np.floating]) -> FloatArray:
        """(I,) the share of each one's squared distance from the mean that lies outside the directions, 0 to 1.

        Nothing of a vector that hardly differs from the mean: it says nothing, right or wrong.
        """
        moved = vectors.astype(np.float64) - self.mean
        whole = np.square(moved).sum(1)
        inside = np.square(moved @ self.directions).sum(1)
        return np.where(whole > _LITTLE * self.spread, 1 - inside / np.maximum(whole, np.finfo(np.float64).tiny), 0.0)

    def strange(self, features: Features) -> BoolArray:
        """(I,) bool: which items have features that are no work of the encoder."""
        if self.limit is None:
            return np.zeros(features.n_items, dtype=np.bool_)
        return features.present & (self.outside(features.vectors) > self.limit)


def without_strange(
    features: Features, familiar: Familiar, ids: Sequence[str] | None = None, known: Features | None = None
) -> Features:
    """The same without the modality where its features are no work of the encoder.

    ids: of the I items, under which those are told in `left_out`; None tells of none. known: of the first items, whose
    features stay where they are these.
    """
    strange = familiar.strange(features)
    if known is not None:
        rows = min(known.n_items, features.n_items)
        strange[:rows] &= (features.vectors[:rows] != known.vectors[:rows]).any(1)
    if not strange.any():
        return features
    told = [] if ids is None else [ids[item] for item in np.flatnonzero(strange).tolist()]
    lines = [LeftOut(item, features.modality, REASON.format(modality=features.modality)) for item in told]
    return replace(features.without(strange), left_out=(*features.left_out, *lines))


def credible(features: Features, ids: Sequence[str]) -> Features:
    """Features as encoded, without those that are no work of the encoder. ids: see `without_strange`.

    Asked twice: what takes part in finding the directions lies inside them, whatever it is.
    """
    left = features
    for familiar in (Familiar.of(features), Familiar.of(features, swapped=True)):
        left = without_strange(left, familiar, ids)
    return left
