"""The features of all modalities side by side, standardised: what the joint stage reads of the items.

I items, M content modalities; column 0 of presence and quality is the collaborative modality, `cf`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dynmm.catalogue.features import Features
from dynmm.errors import DataError

#: The collaborative modality, beside text, image and audio.
CF = "cf"

#: Events from which on an item's collaborative vector counts half.
HALF_KNOWN = 5.0

#: Less than so much of the vectors' own length is taken for rounding.
_LEAST_SPREAD = 1e-6

#: Numbers end here: sums of their squares are within float32.
_LARGEST = 1e15

#: What half precision may take off a vector, in units of the spread.
_TOLERATED = 0.01


@dataclass(frozen=True, eq=False)
class Standardiser:
    """Takes one modality's features to mean 0 and, over all dimensions together, length about 1.

    mean: (W,). scale: a number. One scale for all dimensions keeps an encoder's own geometry: dividing each
    by its own spread would raise dimensions that hold nothing but noise.
    """

    mean: Tensor
    scale: float

    @classmethod
    def of(cls, features: Features) -> Standardiser:
        """Fitted to the items that have this modality."""
        there = torch.from_numpy(features.vectors[features.present])
        if not len(there):
            return cls(torch.zeros(features.width), 1.0)
        mean = there.mean(0)
        spread, length = (float(one.square().sum(1).mean().sqrt()) for one in (there - mean, there))
        return cls(mean, spread if spread > _LEAST_SPREAD * length else 1.0)

    def __call__(self, features: Features) -> Tensor:
        """(I, W) float32, zeros where absent."""
        moved = (torch.from_numpy(features.vectors) - self.mean) / self.scale
        return moved * torch.from_numpy(features.present)[:, None]


@dataclass(frozen=True, eq=False)
class Content:
    """names: the M modalities. vectors: (I, W) each, standardised. present: (I, M + 1) bool. quality: (I, M + 1)."""

    names: tuple[str, ...]
    vectors: tuple[Tensor, ...]
    present: Tensor
    quality: Tensor

    def to(self, device: torch.device) -> Content:
        """The same on a device."""
        vectors = tuple(one.to(device) for one in self.vectors)
        return Content(self.names, vectors, self.present.to(device), self.quality.to(device))

    def take(self, rows: Tensor) -> Content:
        """Some items. rows: (R,) int64."""
        return Content(self.names, tuple(one[rows] for one in self.vectors), self.present[rows], self.quality[rows])


def join(features: Sequence[Features], standardisers: Sequence[Standardiser], counts: np.ndarray | None) -> Content:
    """Content of I items. counts: (I,) training events of each; None for items that no training has seen.

    The quality of the collaborative vector is n / (n + 5) after n events: it is absent before the first one.
    """
    n_items = features[0].n_items
    seen = torch.zeros(n_items) if counts is None else torch.from_numpy(np.asarray(counts, dtype=np.float32))
    present = [seen > 0] + [torch.from_numpy(one.present) for one in features]
    quality = [seen / (seen + HALF_KNOWN)] + [torch.from_numpy(one.quality) for one in features]
    vectors = tuple(scaler(one) for scaler, one in zip(standardisers, features, strict=True))
    names = tuple(one.modality for one in features)
    return Content(names, vectors, torch.stack(present, 1), torch.stack(quality, 1).float())


def usable(features: Sequence[Features], n_items: int, wanted: Sequence[str]) -> list[Features]:
    """The features that take part: of a wanted modality, and of at least one item. Halved once, so that what is
    saved in half precision is what was trained on.

    Raises DataError where their items are not the data set's.
    """
    found = []
    for one in features:
        if one.n_items != n_items:
            raise DataError(f"the {one.modality} features are of {one.n_items:,} items, the data set has {n_items:,}")
        if one.modality in wanted and one.present.any():
            found.append(halved(one))
    return found


def halved(features: Features, scale: float | None = None) -> Features:
    """The same with vectors and attributes that half precision can hold.

    A vector that would lose more than 1 % of the spread by that stays in float32: numbers far from 0 beside their
    differences, very small ones, and those beyond 65,504. scale: of the fit's standardiser; None finds it here.
    """
    named = features.attributes
    if named is not None:
        named = replace(named, values=_rounded(named.values))
    kept = replace(features, vectors=np.clip(features.vectors, -_LARGEST, _LARGEST), attributes=named)
    limit = _TOLERATED * (Standardiser.of(kept).scale if scale is None else scale)
    rounded = _rounded(kept.vectors)
    lost = np.linalg.norm(kept.vectors - rounded, axis=1) > limit
    vectors = np.where(lost[:, None], kept.vectors, rounded)
    return replace(kept, vectors=vectors, quality=features.quality.astype(np.float32))


def _rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    limit = float(np.finfo(np.float16).max)
    return np.clip(values, -limit, limit).astype(np.float16).astype(np.float32)
