"""Training learns what can be learned, selects by validation, and says what it cannot do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.backbone.cycles import N_ITEMS, QUICK, dataset_of, ring_dataset, ring_histories

from dynmm.backbone.pretraining import Pretrained, pretrain
from dynmm.backbone.settings import BackboneSettings
from dynmm.backbone.system import Backbone, BackboneSystem
from dynmm.errors import TrainingDiverged, UnsupportedByData
from dynmm.system import Query, Rankings
from dynmm.training.reports import EpochReport
from dynmm.training.selection import mean_ndcg
from dynmm.types import UserHistory


def _hit_at_1(fitted: Pretrained) -> float:
    histories = [np.asarray(history, np.int32) for history in ring_histories(200, seed=99, shortest=3)]
    queries = [Query(UserHistory(history), exclude=history) for history in histories]
    best = BackboneSystem(backbone=Backbone(fitted)).rank(queries, 1).items[:, 0]
    return float(np.mean(best == [(history[-1] + 1) % N_ITEMS for history in histories]))


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["full", "sampled"])
def test_it_learns_a_ring(loss: str) -> None:
    settings = QUICK.model_copy(update={"epochs": 25, "loss": loss, "negatives": 12})
    assert _hit_at_1(pretrain(ring_dataset(300), settings, seed=0)) > 0.97


@pytest.mark.slow
def test_it_learns_a_ring_in_bfloat16_from_long_histories() -> None:
    settings = QUICK.model_copy(update={"epochs": 25, "positions": 4, "windows": True, "precision": "bfloat16"})
    assert _hit_at_1(pretrain(ring_dataset(300), settings, seed=0)) > 0.97


def _same(one: Pretrained, other: Pretrained) -> bool:
    return all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_the_seed_decides_the_bits() -> None:
    dataset = ring_dataset(60)
    assert _same(pretrain(dataset, QUICK, seed=1), pretrain(dataset, QUICK, seed=1))
    assert not _same(pretrain(dataset, QUICK, seed=1), pretrain(dataset, QUICK, seed=2))


def test_validation_selects_the_epoch_and_patience_ends_the_fit() -> None:
    settings = QUICK.model_copy(update={"epochs": 40, "patience": 2, "learning_rate": 1e-2})
    reports: list[EpochReport] = []
    fitted = pretrain(ring_dataset(60, with_validation=True), settings, seed=0, on_epoch=reports.append)
    validations = [report.validation for report in reports]
    assert tuple(reports) == fitted.history
    assert fitted.best_epoch == int(np.argmax(np.asarray(validations, float))) + 1
    assert len(reports) == min(40, fitted.best_epoch + 2)
    assert all(0 <= value <= 1 for value in validations if value is not None)


def test_the_weights_are_those_of_the_best_epoch() -> None:
    """A refit for as many epochs as were selected walks the same path, and ends where the selection was."""
    settings = QUICK.model_copy(update={"epochs": 30, "patience": 2, "learning_rate": 1e-2})
    selected = pretrain(ring_dataset(60, with_validation=True), settings, seed=0)
    refitted = pretrain(ring_dataset(60), settings, seed=0, epochs=selected.best_epoch)
    assert len(refitted.history) == refitted.best_epoch == selected.best_epoch < 30
    assert _same(selected, refitted)


def test_validation_cases_without_a_history_select_nothing() -> None:
    dataset = ring_dataset(30, with_validation=True)
    cases = dataset.validation
    assert cases is not None
    empty = type(cases)(
        cases.users, cases.history_items[:0], np.zeros(31, np.int64), cases.target_items, cases.target_offsets
    )
    fitted = pretrain(dataset_of(ring_histories(30, 0), validation=empty), QUICK, seed=0)
    assert [report.validation for report in fitted.history] == [None] * 4
    assert fitted.best_epoch == 4


def test_progress_runs_from_nought_to_one_in_each_epoch() -> None:
    shares: list[float] = []
    pretrain(ring_dataset(60), QUICK.model_copy(update={"epochs": 2}), seed=0, on_progress=shares.append)
    half = len(shares) // 2
    assert shares[:half] == sorted(shares[:half])
    assert shares[half - 1] == shares[-1] == 1.0


def test_a_loss_that_is_no_number_is_one_clear_error() -> None:
    settings = QUICK.model_copy(update={"learning_rate": 1e30, "warmup_epochs": 0.0})
    with pytest.raises(TrainingDiverged, match=r"epoch \d+.*learning_rate"):
        pretrain(ring_dataset(60), settings, seed=0)


def test_users_with_one_event_are_no_hindrance() -> None:
    dataset = dataset_of([[1], [2, 3], [4], [5, 6, 7]])
    assert len(pretrain(dataset, QUICK, seed=0).history) == 4


def test_no_user_with_two_events_is_refused_with_the_reason() -> None:
    with pytest.raises(UnsupportedByData, match="no user has two events"):
        pretrain(dataset_of([[1], [2], [3]]), QUICK, seed=0)


def test_items_without_an_event_are_ranked_too() -> None:
    fitted = pretrain(dataset_of([[0, 1, 2], [1, 2, 0]], n_items=50), QUICK, seed=0)
    assert Backbone(fitted).item_vectors.shape == (50, QUICK.width)


@pytest.mark.parametrize("seed", range(3))
def test_ndcg_against_its_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    items = np.stack([random.permutation(12)[:10] for _ in range(20)]).astype(np.int32)
    targets = [random.choice(12, random.integers(1, 12), replace=False) for _ in range(20)]
    expected = []
    for row, own in zip(items, targets, strict=True):
        gain = sum(1 / np.log2(place + 2) for place, item in enumerate(row) if item in own)
        expected.append(gain / sum(1 / np.log2(place + 2) for place in range(min(10, len(own)))))
    rankings = Rankings(items, np.zeros_like(items, dtype=np.float32))
    assert mean_ndcg(rankings, targets) == pytest.approx(np.mean(expected))


def test_settings_that_are_set_by_hand_are_the_ones_used() -> None:
    fitted = pretrain(ring_dataset(20), QUICK, seed=0)
    set_by_hand = QUICK.model_dump(exclude_unset=True)
    assert {name: fitted.settings.model_dump()[name] for name in set_by_hand} == set_by_hand
    assert "auto" not in {value for name, value in fitted.settings.model_dump().items() if name != "precision"}
    assert BackboneSettings().epochs == "auto"


def test_the_first_epochs_are_not_validated() -> None:
    settings = QUICK.model_copy(update={"epochs": 6, "validate_from": 0.5})
    fitted = pretrain(ring_dataset(60, with_validation=True), settings, seed=0)
    assert [report.validation is None for report in fitted.history] == [True, True, False, False, False, False]
    assert [report.best_epoch for report in fitted.history[:3]] == [1, 2, 3]
