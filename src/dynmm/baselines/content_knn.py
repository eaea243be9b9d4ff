"""Content-only item-kNN: candidates by the likeness of their text, picture or sound to the user's history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from pydantic import Field

from dynmm.catalogue.content import Modality
from dynmm.catalogue.features import Features
from dynmm.configuration import Settings
from dynmm.errors import ConfigError, DataError
from dynmm.interactions.dataset import Dataset
from dynmm.system import Query, Rankings
from dynmm.topk import PRODUCT_BLOCK_BYTES, inner_products, rank_in_blocks
from dynmm.types import BoolArray, Events

#: The score of an item without any content: below every cosine.
LOWEST = -2.0

#: A profile shorter than this, of unit vectors, is no direction.
_NOWHERE = 1e-5


class ContentKnnSettings(Settings):
    """Content-only item-kNN."""

    only: Modality | Literal["all"] = Field("all", description="the modality that is looked at; all: each, averaged")
    window: int = Field(50, ge=1, description="so many of the newest history items make up the profile")
    recency: float = Field(0.7, gt=0, le=1, description="weight of a history item against the one that came after it")


@dataclass(frozen=True, eq=False)
class _Space:
    """One modality of I items. vectors: (I, W) float32 of length 1, zeros where absent. present: (I,)."""

    vectors: NDArray[np.float32]
    present: BoolArray


class ContentKnn:
    """Candidates by the cosine of their content with a profile: the decayed mean of the history's content.

    Vectors are standardised by dimension over the items that have them, then brought to length 1. The cosines
    of the modalities that both the profile and the candidate have are averaged; with none in common a candidate
    scores 0, and an item without any content stands behind all others. Nothing is learned from anybody's
    interactions: this is what content can do by itself.
    """

    settings_type: ClassVar[type[ContentKnnSettings]] = ContentKnnSettings
    learns_online: ClassVar[bool] = False

    def __init__(self, features: Sequence[Features], settings: ContentKnnSettings | None = None) -> None:
        """features: of the same dense items as the data set that `fit` gets.

        Raises ConfigError where none of them is of the modality in `settings.only`.
        """
        self.settings = settings or ContentKnnSettings()
        only = self.settings.only
        self._features = [one for one in features if only in ("all", one.modality)]
        if not self._features:
            there = ", ".join(dict.fromkeys(one.modality for one in features)) or "none"
            raise ConfigError(f"{self.name} needs {'item' if only == 'all' else only} features; there is: {there}")
        self._spaces: list[_Space] = []
        self._without: BoolArray = np.zeros(0, dtype=np.bool_)
        self._ordered = True

    @property
    def name(self) -> str:
        """``content-knn``, or with the one modality that it looks at, e.g. ``content-knn-image``."""
        return "content-knn" if self.settings.only == "all" else f"content-knn-{self.settings.only}"

    def fit(self, dataset: Dataset) -> None:
        """Standardise the features; of the data set only its items and whether it has an order are read.

        Raises DataError where the features are not of this many items.
        """
        for one in self._features:
            if one.n_items != dataset.n_items:
                raise DataError(
                    f"{self.name}: {one.modality} features of {one.n_items:,} items for a data set of "
                    f"{dataset.n_items:,}; take those of its items, in its order, with Features.take"
                )
        self._spaces = [_Space(_unit(one), one.present) for one in self._features]
        self._without = ~np.any([space.present for space in self._spaces], axis=0)
        self._ordered = dataset.has_order

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """See `System.rank`."""
        return rank_in_blocks(self._score, queries, k, len(self._without), block_bytes=PRODUCT_BLOCK_BYTES)

    def learn(self, events: Events) -> None:
        """Learns nothing."""

    def _score(self, queries: Sequence[Query]) -> torch.Tensor:
        weights = self._weights(queries)
        total = np.zeros((len(queries), len(self._without)), dtype=np.float32)
        spaces = np.zeros_like(total)
        for space in self._spaces:
            profiles = np.asarray(weights @ space.vectors, dtype=np.float32)
            lengths = np.linalg.norm(profiles, axis=1, keepdims=True)
            told = lengths > _NOWHERE
            profiles = np.where(told, profiles / np.where(told, lengths, 1.0), 0.0).astype(np.float32)
            total += inner_products(profiles, space.vectors)
            spaces += told & space.present
        scores = total / np.maximum(spaces, 1.0)
        scores[:, self._without] = LOWEST
        return torch.from_numpy(scores)

    def _weights(self, queries: Sequence[Query]) -> sp.csr_matrix:
        """(B, I) what each of the newest history items counts, the last 1; all 1 where there is no order."""
        recent = [np.asarray(query.history.items[-self.settings.window :], dtype=np.int64) for query in queries]
        decay = self.settings.recency if self._ordered else 1.0
        weights = [decay ** np.arange(len(items) - 1, -1, -1, dtype=np.float32) for items in recent]
        starts = np.concatenate([[0], np.cumsum([len(items) for items in recent])])
        shape = (len(queries), len(self._without))
        return sp.csr_matrix((np.concatenate(weights), np.concatenate(recent), starts), shape=shape)


def _unit(features: Features) -> NDArray[np.float32]:
    """(I, W) standardised over the items that are there, then of length 1; zeros where absent."""
    present = features.present
    if not present.any():
        return np.zeros_like(features.vectors)
    known = features.vectors[present].astype(np.float64)
    spread = known.std(axis=0)
    standard = (features.vectors - known.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    standard[~present] = 0.0
    lengths = np.linalg.norm(standard, axis=1, keepdims=True)
    return np.asarray(standard / np.maximum(lengths, 1e-12), dtype=np.float32)
