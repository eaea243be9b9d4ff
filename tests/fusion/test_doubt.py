"""A picture of the wrong thing: the gate notices, and it costs hardly more than no picture."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from tests.backbone.cycles import dataset_of
from tests.fusion.made import N_ITEMS, SMALL, features, places

from dynmm.assembly.whole import base_of
from dynmm.backbone.pretraining import pretrain
from dynmm.backbone.system import Backbone
from dynmm.catalogue.content import Modality
from dynmm.catalogue.corruption import corrupt, drop
from dynmm.catalogue.features import Features
from dynmm.fusion.content import usable
from dynmm.fusion.joint import Joint
from dynmm.fusion.pretraining import pretrain_joint
from dynmm.fusion.settings import FusionSettings
from dynmm.interactions.dataset import Dataset
from dynmm.randomness import generator
from dynmm.system import Query
from dynmm.testing import without_last
from dynmm.topk import rank_by_vectors

N_PLACES = 4 * N_ITEMS

pytestmark = pytest.mark.slow


def _walks() -> Dataset:
    """Round a ring, mostly step by step, sometimes up to five at once."""
    draw = generator(0, "walks")
    walks = []
    for start in draw.integers(0, N_PLACES, 300).tolist():
        steps = np.where(draw.random(8) < 0.7, 1, draw.integers(1, 6, 8))
        walks.append(((start + np.concatenate([[0], np.cumsum(steps)])) % N_PLACES).tolist())
    return dataset_of(walks, N_PLACES)


def _blurred(modality: Modality, seed: int) -> Features:
    clear = places(modality, N_PLACES, width=24, seed=seed).vectors
    blur = generator(seed, "blur").standard_normal(clear.shape)
    return features(clear + 0.3 * clear.std() * blur, modality)


@functools.cache
def _world() -> tuple[Dataset, list[Query], list[int], Backbone]:
    train, queries, answers = without_last(_walks())
    settings = SMALL.model_copy(
        update={"width": 32, "inner": 32, "epochs": 6, "patience": 6, "learning_rate": 5e-3, "batch_places": 128}
    )
    return train, queries, answers, Backbone(pretrain(train, settings, 0))


@functools.cache
def _joint(gate: str, swap: float | None) -> Joint:
    """Shipped defaults but for the size and the rate; swap: None for the default."""
    train, _, _, backbone = _world()
    settings = FusionSettings.model_validate(
        {"hidden": 32, "epochs": 10, "learning_rate": 5e-3, "precision": "float32", "gate": gate}
        | ({} if swap is None else {"swap": swap})
    )
    content = usable([_blurred("text", 0), _blurred("image", 1)], N_PLACES, settings.modalities)
    return Joint(pretrain_joint(train, base_of(backbone), content, settings, seed=0))


def _ndcg(joint: Joint) -> float:
    _, queries, answers, _ = _world()
    users = joint.user_vectors([query.history for query in queries])
    found = rank_by_vectors(users, joint.item_vectors, queries, 10).items == np.asarray(answers)[:, None]
    return float((found / np.log2(2 + np.arange(10))).sum(axis=1).mean())


def test_another_items_pictures_cost_hardly_more_than_none() -> None:
    joint = _joint("learned", None)
    full = _ndcg(joint)
    missing = full - _ndcg(joint.with_features(drop(joint.features, "image")))
    for kind in ("wrong", "noise"):
        wrong = full - _ndcg(joint.with_features(corrupt(joint.features, "image", kind)))
        assert wrong <= missing + 0.03, kind


def test_without_a_gate_that_doubts_they_cost_much() -> None:
    """So the world above can show it."""
    joint = _joint("mean", 0.0)
    full = _ndcg(joint)
    missing = full - _ndcg(joint.with_features(drop(joint.features, "image")))
    wrong = full - _ndcg(joint.with_features(corrupt(joint.features, "image", "wrong")))
    assert wrong > missing + 0.1


def test_the_gate_gives_less_to_pictures_that_belong_to_others() -> None:
    joint = _joint("learned", None)
    twin = joint.with_features(corrupt(joint.features, "image", "wrong"))
    trusted, doubted = joint.parts().weights, twin.parts().weights
    assert float(doubted[:, 2].mean()) < 0.95 * float(trusted[:, 2].mean())
    assert float((doubted[:, 2] < trusted[:, 2]).float().mean()) > 0.6


def test_dropping_a_modality_costs_little() -> None:
    joint = _joint("learned", None)
    full = _ndcg(joint)
    assert full - _ndcg(joint.with_features(drop(joint.features, "image"))) < 0.02
    assert full - _ndcg(joint.with_features(drop(drop(joint.features, "image"), "text"))) < 0.05
