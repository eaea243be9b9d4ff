"""A ring of items that everyone walks round, and content that tells each item's place on it."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from tests.backbone.cycles import QUICK, dataset_of, next_step_cases, ring_histories

from dynmm.assembly.whole import base_of
from dynmm.backbone.pretraining import pretrain
from dynmm.backbone.system import Backbone
from dynmm.catalogue.content import Modality
from dynmm.catalogue.features import Features
from dynmm.fusion.content import usable
from dynmm.fusion.pretraining import Base, Joined, pretrain_joint
from dynmm.fusion.settings import FusionSettings
from dynmm.interactions.dataset import Dataset
from dynmm.randomness import generator
from dynmm.types import UserHistory

N_ITEMS = 30

#: A backbone of a moment.
SMALL = QUICK.model_copy(update={"width": 16, "inner": 16, "blocks": 1, "epochs": 3})

#: In float32, so that every processor gives the same kind of result.
JOINT = FusionSettings(hidden=16, epochs=3, patience=3, aligned_items=20, precision="float32", validate_from=0.0)


def places(modality: Modality = "text", n_items: int = N_ITEMS, width: int = 8, seed: int = 0) -> Features:
    """Each item's place on the ring as waves of several lengths, mixed: neighbours are alike."""
    angles = 2 * np.pi * np.arange(n_items)[:, None] / n_items * np.arange(1, 4)
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    mix = generator(seed, "made", modality).standard_normal((6, width))
    vectors = (waves @ mix).astype(np.float32)
    return features(vectors, modality)


def features(vectors: np.ndarray, modality: Modality = "text", present: np.ndarray | None = None) -> Features:
    """Of an encoder called `made`."""
    there = np.ones(len(vectors), bool) if present is None else present
    vectors = np.where(there[:, None], vectors, 0).astype(np.float32)
    return Features(modality, "made", f"made/{vectors.shape[1]}", vectors, there, there.astype(np.float32))


def lacking(one: Features, items: Sequence[int]) -> Features:
    """The same, of which these items have nothing."""
    without = np.zeros(one.n_items, bool)
    without[list(items)] = True
    return one.without(without)


def rings(users: int = 60, *, validated: bool = True, n_items: int = N_ITEMS) -> Dataset:
    """Walks round the ring of the first 30 items; others are declared, and nobody took them."""
    histories = ring_histories(users, seed=0)
    return dataset_of(histories, n_items, next_step_cases(histories) if validated else None)


@functools.cache
def backbone(users: int = 60, n_items: int = N_ITEMS, seed: int = 0) -> Backbone:
    return Backbone(pretrain(rings(users, n_items=n_items), SMALL, seed))


def base(users: int = 60, n_items: int = N_ITEMS) -> Base:
    """Its tower is a fresh copy at each call: a fit trains it."""
    return base_of(backbone(users, n_items))


def joined(
    content: Sequence[Features],
    settings: FusionSettings = JOINT,
    *,
    dataset: Dataset | None = None,
    seed: int = 0,
    epochs: int | None = None,
) -> Joined:
    """A joint stage of a moment."""
    n_items = content[0].n_items
    data = dataset or rings(n_items=n_items)
    used = usable(content, n_items, settings.modalities)
    return pretrain_joint(data, base(n_items=n_items), used, settings, seed, epochs=epochs)


def history(*items: int) -> UserHistory:
    return UserHistory(np.asarray(items, np.int32))
