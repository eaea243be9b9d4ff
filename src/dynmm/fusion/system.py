"""The joint stage as a recommender: `dynmm/joint`, the second rung of the ladder."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from dynmm.catalogue.features import Features
from dynmm.fusion.joint import Joint
from dynmm.fusion.keeping import load_joint, save_joint
from dynmm.fusion.pretraining import CODE_VERSION, Base, following, pretrain_joint
from dynmm.fusion.settings import FusionSettings
from dynmm.interactions.dataset import Dataset
from dynmm.precision import product_precision
from dynmm.stages import StageCache, data_fingerprint
from dynmm.system import Query, Rankings
from dynmm.topk import rank_by_vectors
from dynmm.training.reports import EpochReport
from dynmm.types import Events

logger = logging.getLogger(__name__)


class JointSystem:
    """Ranks by the inner product of the joint stage's user and item vectors."""

    name = "dynmm/joint"
    learns_online: ClassVar[bool] = False

    def __init__(self, fitted: Callable[[Dataset], Joint], joint: Joint | None = None) -> None:
        """fitted: makes a joint stage from a data set, its backbone included. joint: an already fitted one."""
        self._fitted, self._joint = fitted, joint

    @property
    def joint(self) -> Joint:
        """The fitted parts. Raises RuntimeError before `fit`."""
        if self._joint is None:
            raise RuntimeError("the joint stage is not fitted: call fit(dataset) first")
        return self._joint

    def fit(self, dataset: Dataset) -> None:
        """Fit the backbone and the joint stage on it."""
        self._joint = self._fitted(dataset)

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """The best k items by the product of user and item vector."""
        users = self.joint.user_vectors([query.history for query in queries])
        return rank_by_vectors(users, self.joint.item_vectors, queries, k)

    def learn(self, events: Events) -> None:
        """Nothing: the weights are frozen, and fresh histories come with each query."""


def fit_joint(
    dataset: Dataset,
    base: Base,
    features: Sequence[Features],
    settings: FusionSettings,
    seed: int,
    *,
    epochs: int | None = None,
    fold: str = "",
    cache: StageCache | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Joint:
    """`pretrain_joint` through the stage cache. features: see `content.usable`. fold: see `fit_backbone`."""
    device = base.vectors.device
    if cache is None:
        joined = pretrain_joint(
            dataset, base, features, settings, seed, epochs=epochs, on_epoch=on_epoch, on_progress=on_progress
        )
        return Joint(joined, device=device)
    resolved = following(settings, base.recipe)
    precision = product_precision(resolved.precision, device)
    part = f"{fold}/{device.type}/{precision}/{base.identity}/{fingerprint(features)}/epochs={epochs}"
    key = cache.key(
        "joint", data=data_fingerprint(dataset), settings=resolved, seed=seed, fold=part, code_version=CODE_VERSION
    )
    if (found := cache.get(key)) is not None:
        logger.info("the joint stage comes from the cache: %s", found)
        return load_joint(found, base.tower, device)
    with cache.work(key) as work:
        joined = pretrain_joint(
            dataset,
            base,
            features,
            resolved,
            seed,
            epochs=epochs,
            checkpoint_dir=work,
            identity=key,
            on_epoch=on_epoch,
            on_progress=on_progress,
        )
        joint = Joint(joined, device=device)
        with cache.put(key) as folder:
            save_joint(joint, folder)
    return joint


def fingerprint(features: Sequence[Features]) -> str:
    """sha256 of what the joint stage reads of the features."""
    digest = hashlib.sha256()
    for one in features:
        digest.update(f"{one.modality} {one.encoder} {one.identity} {one.vectors.shape}".encode())
        for column in (one.vectors, one.present, one.quality):
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()
