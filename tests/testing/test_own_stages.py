"""The joint stage and the whole of it go through the suite that every comparison system goes through."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.fusion.made import features, lacking

from dynmm.assembly.evidencing import terms_of
from dynmm.assembly.searching import Search, index_of
from dynmm.assembly.whole import Whole, base_of
from dynmm.backbone.settings import BackboneSettings
from dynmm.backbone.system import Backbone, fit_backbone
from dynmm.evidence.score import EvidenceScore
from dynmm.evidence.settings import EvidenceSettings
from dynmm.evidence.system import EvidenceSystem
from dynmm.evidence.weights import Weights
from dynmm.fusion.content import usable
from dynmm.fusion.joint import Joint
from dynmm.fusion.settings import FusionSettings
from dynmm.fusion.system import JointSystem, fit_joint
from dynmm.interactions.dataset import Dataset
from dynmm.randomness import generator
from dynmm.retrieval.settings import RetrievalSettings
from dynmm.stages import StageCache
from dynmm.system import System
from dynmm.testing import SYSTEM_CHECKS, check_accuracy, tiny_dataset

pytestmark = pytest.mark.slow

_QUICK = BackboneSettings(width=16, inner=16, epochs=1, precision="float32", batch_places=512)
_ENOUGH = _QUICK.model_copy(
    update={"width": 32, "inner": 32, "epochs": 40, "patience": 40, "learning_rate": 5e-3, "batch_places": 128}
)
_JOINT = FusionSettings(hidden=16, epochs=1, aligned_items=16, precision="float32")
_PQ = RetrievalSettings(index="pq", bytes_per_item=8, shortlist=1000, measured_queries=4)

Check = Callable[[Callable[[], System]], None]


def _stages(
    dataset: Dataset, backbone: BackboneSettings = _QUICK, joint: FusionSettings = _JOINT
) -> tuple[Backbone, Joint]:
    """Content is drawn for each item; the first has none of it."""
    drawn = generator(0, "content").standard_normal((dataset.n_items, 6))
    content = usable([lacking(features(drawn), [0])], dataset.n_items, joint.modalities)
    below = fit_backbone(dataset, backbone, 1)
    return below, fit_joint(dataset, base_of(below), content, joint, 1)


def _whole(dataset: Dataset) -> Whole:
    return Whole(*_stages(dataset), _whole)


def _quantised(dataset: Dataset) -> Whole:
    below, joint = _stages(dataset)
    with tempfile.TemporaryDirectory() as folder:
        index = index_of(joint, _PQ, 0, StageCache(Path(folder)))
        assert index is not None
        return Whole(below, joint, _quantised, Search(index))


@functools.cache
def _fitted(refit: Callable[[Dataset], Whole]) -> Whole:
    return refit(tiny_dataset(8, users=6, items=12, events=40))


def _fresh(refit: Callable[[Dataset], Whole]) -> Callable[[], System]:
    """Wholes that were fitted to other data before: there is none that was not."""
    first = _fitted(refit)
    return lambda: Whole(first.backbone, first.joint, refit, first.search)


@pytest.mark.parametrize("check", SYSTEM_CHECKS, ids=lambda check: str(check.__name__))
def test_the_joint_stage_keeps_the_contract(check: Check) -> None:
    check(lambda: JointSystem(lambda dataset: _stages(dataset)[1]))


@pytest.mark.parametrize("check", SYSTEM_CHECKS, ids=lambda check: str(check.__name__))
def test_the_whole_keeps_the_contract(check: Check) -> None:
    check(_fresh(_whole))


@pytest.mark.parametrize("check", SYSTEM_CHECKS, ids=lambda check: str(check.__name__))
def test_the_whole_over_codes_keeps_the_contract(check: Check) -> None:
    check(_fresh(_quantised))


def _weighed(dataset: Dataset) -> tuple[Joint, EvidenceScore]:
    """Every column of evidence counts the same."""
    _, joint = _stages(dataset)
    terms = terms_of(dataset, joint, EvidenceSettings())
    return joint, EvidenceScore(terms, Weights(terms.columns, np.ones(len(terms.columns)), 1.0, 0, 1.0))


@pytest.mark.parametrize("check", SYSTEM_CHECKS, ids=lambda check: str(check.__name__))
def test_evidence_keeps_the_contract(check: Check) -> None:
    check(lambda: EvidenceSystem(_weighed))


def test_joint_accuracy_floor() -> None:
    """Content that says nothing leaves what follows what."""
    longer = _JOINT.model_copy(update={"epochs": 10, "learning_rate": 5e-3, "hidden": 32})
    check_accuracy(lambda: JointSystem(lambda dataset: _stages(dataset, _ENOUGH, longer)[1]), 0.5)


def test_a_system_that_is_not_fitted_says_so() -> None:
    with pytest.raises(RuntimeError, match=r"not fitted: call fit\(dataset\) first"):
        JointSystem(lambda dataset: _stages(dataset)[1]).rank([], 3)
