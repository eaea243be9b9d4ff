"""The fitted backbone behind the System door, on disk, and through the cache."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.backbone.cycles import N_ITEMS, QUICK, ring_dataset

from dynmm.backbone.pretraining import pretrain
from dynmm.backbone.system import Backbone, BackboneSystem, fit_backbone
from dynmm.errors import ArtefactError
from dynmm.stages import StageCache
from dynmm.system import PADDING, Query, System
from dynmm.training.reports import EpochReport
from dynmm.types import Events, UserHistory


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return Backbone(pretrain(ring_dataset(80), QUICK, seed=0))


def _query(items: list[int], exclude: bool = True, candidates: list[int] | None = None) -> Query:
    history = np.asarray(items, np.int32)
    return Query(
        UserHistory(history),
        candidates=None if candidates is None else np.asarray(candidates, np.int32),
        exclude=history if exclude else np.empty(0, np.int32),
    )


def test_it_is_a_system_by_its_contracted_name(backbone: Backbone) -> None:
    system = BackboneSystem(backbone=backbone)
    assert isinstance(system, System)
    assert system.name == "dynmm/backbone"


histories = st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=60), min_size=1, max_size=12)


@given(histories, st.integers(1, 40))
@settings(max_examples=25)
def test_rank_is_the_sorted_product_of_user_and_item(backbone: Backbone, histories: list[list[int]], k: int) -> None:
    queries = [_query(history) for history in histories]
    found = BackboneSystem(backbone=backbone).rank(queries, k)
    users = backbone.user_vectors([query.history for query in queries])
    scores = (users @ backbone.item_vectors.t()).numpy()
    for row, history in enumerate(histories):
        allowed = [item for item in range(N_ITEMS) if item not in history]
        kept = found.items[row][found.items[row] != PADDING]
        assert len(kept) == min(k, len(allowed))
        assert set(kept.tolist()) <= set(allowed)
        np.testing.assert_allclose(found.scores[row, : len(kept)], scores[row, kept], rtol=1e-5, atol=1e-4)
        best = np.sort(scores[row, allowed])[::-1][: len(kept)]
        np.testing.assert_allclose(found.scores[row, : len(kept)], best, rtol=1e-5, atol=1e-4)


@given(histories, st.randoms())
@settings(max_examples=25)
def test_company_and_order_change_no_bit(backbone: Backbone, histories: list[list[int]], random: object) -> None:
    system = BackboneSystem(backbone=backbone)
    queries = [_query(history) for history in histories]
    together = system.rank(queries, 5)
    backwards = system.rank(queries[::-1], 5)
    assert np.array_equal(together.items, backwards.items[::-1])
    assert np.array_equal(together.scores, backwards.scores[::-1])
    alone = system.rank(queries[:1], 5)
    assert np.array_equal(together.items[:1], alone.items)
    assert np.array_equal(together.scores[:1], alone.scores)


def test_only_candidates_come_back(backbone: Backbone) -> None:
    ranked = BackboneSystem(backbone=backbone).rank([_query([1, 2], candidates=[7, 2, 9])], 5)
    assert set(ranked.items[0].tolist()) == {7, 9, PADDING}


def test_ranking_and_learning_move_no_parameter(backbone: Backbone) -> None:
    before = backbone.parameter_hash()
    system = BackboneSystem(backbone=backbone)
    system.rank([_query([1, 2, 3]), _query([])], 5)
    system.learn(Events(np.asarray([0], np.int32), np.asarray([4], np.int32)))
    assert backbone.parameter_hash() == before
    assert not any(parameter.requires_grad for parameter in backbone._model.parameters())


def test_the_hash_sees_one_changed_bit(backbone: Backbone) -> None:
    other = Backbone(backbone.pretrained)
    other._model.start[0] += 1e-3
    assert other.parameter_hash() != backbone.parameter_hash()


def test_an_unfitted_system_says_so() -> None:
    with pytest.raises(RuntimeError, match="call fit"):
        BackboneSystem().rank([_query([1])], 5)


def test_saved_and_loaded_is_the_same(backbone: Backbone, tmp_path: Path) -> None:
    backbone.save(tmp_path / "backbone")
    loaded = Backbone.load(tmp_path / "backbone")
    assert loaded.parameter_hash() == backbone.parameter_hash()
    assert loaded.pretrained.history == backbone.pretrained.history
    assert loaded.pretrained.settings == backbone.pretrained.settings
    users = [UserHistory(np.asarray([3, 4], np.int32))]
    assert torch.equal(loaded.user_vectors(users), backbone.user_vectors(users))


@pytest.mark.parametrize("damage", ["truncated", "no card", "no weights", "other shape", "unknown setting"])
def test_a_damaged_folder_is_one_clear_error(backbone: Backbone, tmp_path: Path, damage: str) -> None:
    backbone.save(tmp_path)
    weights, card = tmp_path / "weights.safetensors", tmp_path / "backbone.json"
    content = json.loads(card.read_text())
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "no card":
        card.unlink()
    elif damage == "no weights":
        weights.unlink()
    elif damage == "other shape":
        card.write_text(json.dumps({**content, "n_items": 5}))
    else:
        card.write_text(json.dumps({**content, "settings": {**content["settings"], "colour": "red"}}))
    with pytest.raises(ArtefactError, match="cannot be read"):
        Backbone.load(tmp_path)


def test_the_cache_spares_a_second_fit(tmp_path: Path) -> None:
    cache, epochs = StageCache(tmp_path), list[EpochReport]()
    first = BackboneSystem(QUICK, seed=1, cache=cache, on_epoch=epochs.append)
    second = BackboneSystem(QUICK, seed=1, cache=cache, on_epoch=epochs.append)
    first.fit(ring_dataset(40))
    second.fit(ring_dataset(40))
    assert len(epochs) == 4
    assert first.backbone.parameter_hash() == second.backbone.parameter_hash()
    assert list((tmp_path / "work").iterdir()) == []


def test_the_cache_keeps_the_checkpoints_of_a_broken_off_fit(tmp_path: Path) -> None:
    cache, done = StageCache(tmp_path), list[int]()

    def stop(report: EpochReport) -> None:
        done.append(report.epoch)
        if report.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_backbone(ring_dataset(40), QUICK, 1, cache=cache, on_epoch=stop)
    done.clear()
    resumed = fit_backbone(ring_dataset(40), QUICK, 1, cache=cache, on_epoch=lambda report: done.append(report.epoch))
    assert done == [3, 4]
    assert resumed.parameter_hash() == fit_backbone(ring_dataset(40), QUICK, 1).parameter_hash()


def test_what_a_fit_follows_from_makes_the_entry(tmp_path: Path) -> None:
    cache = StageCache(tmp_path)
    fit_backbone(ring_dataset(40), QUICK, 1, cache=cache, epochs=1)
    fit_backbone(ring_dataset(40), QUICK, 1, cache=cache, epochs=2)
    fit_backbone(ring_dataset(40), QUICK, 2, cache=cache, epochs=1)
    fit_backbone(ring_dataset(41), QUICK, 1, cache=cache, epochs=1)
    fit_backbone(ring_dataset(40), QUICK, 1, cache=cache, epochs=1, fold="0")
    assert len(list((tmp_path / "stages").iterdir())) == 5


def test_the_precision_is_part_of_the_cache_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dynmm.backbone import system

    cache, data = StageCache(tmp_path), ring_dataset()
    for precision in (torch.float32, torch.bfloat16, torch.float32):
        monkeypatch.setattr(system, "product_precision", lambda *_, wanted=precision: wanted)
        fit_backbone(data, QUICK, 0, cache=cache)
    assert len(list(tmp_path.rglob("backbone.json"))) == 2
