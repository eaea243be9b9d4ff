"""Fits of the joint stage: what it learns, what it leaves alone, and the same bits each time."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.backbone.cycles import dataset_of
from tests.fusion.made import JOINT, N_ITEMS, SMALL, backbone, base, features, history, joined, lacking, places, rings

from dynmm.assembly.whole import base_of
from dynmm.backbone.pretraining import pretrain
from dynmm.backbone.system import Backbone
from dynmm.fusion.content import usable
from dynmm.fusion.diagnostics import item_gate
from dynmm.fusion.joint import Joint
from dynmm.fusion.pretraining import Joined, pretrain_joint
from dynmm.fusion.settings import FusionSettings
from dynmm.fusion.system import fit_joint
from dynmm.stages import StageCache
from dynmm.training.reports import EpochReport


def _weights(fitted: Joined) -> dict[str, torch.Tensor]:
    return fitted.model.state_dict()


def _assert_same(one: Joined, other: Joined) -> None:
    assert one.best_epoch == other.best_epoch
    assert [(r.loss, r.validation) for r in one.history] == [(r.loss, r.validation) for r in other.history]
    for name, value in _weights(one).items():
        assert torch.equal(value, _weights(other)[name]), name
    assert torch.equal(one.regressor.weight, other.regressor.weight)


# -- What it learns -------------------------------------------------------------------------------------------------

RING, HIDDEN = 60, range(2, 60, 5)


@functools.cache
def _ring_with_hidden_items() -> Joint:
    """Walks round a ring of 60 that step over every fifth item; its place is told by text alone."""
    random = np.random.default_rng(0)
    warm = [item for item in range(RING) if item not in HIDDEN]
    walks = [[warm[(start + step) % len(warm)] for step in range(8)] for start in random.integers(0, len(warm), 200)]
    data = dataset_of(walks, RING)
    fitted = Backbone(pretrain(data, SMALL.model_copy(update={"width": 32, "inner": 32, "epochs": 12}), 0))
    settings = JOINT.model_copy(update={"epochs": 12, "learning_rate": 5e-3, "hidden": 32})
    return Joint(pretrain_joint(data, base_of(fitted), [places(n_items=RING)], settings, seed=0))


@pytest.mark.slow
def test_cold_items_are_found_by_their_content() -> None:
    """Asked what comes next, the hidden item is among the first of all, and mostly the first of the hidden ones."""
    joint = _ring_with_hidden_items()
    walks = [history(item - 3, item - 2, item - 1) for item in HIDDEN if item > 2]
    targets = [item for item in HIDDEN if item > 2]
    scores = joint.user_vectors(walks) @ joint.item_vectors.t()
    own = scores[torch.arange(len(targets)), targets]
    among_all = (scores > own[:, None]).sum(1).float()
    among_cold = (scores[:, list(HIDDEN)] > own[:, None]).sum(1).float()
    assert float(among_all.mean()) < RING / 5
    assert float((among_cold == 0).float().mean()) > 0.7


@pytest.mark.slow
def test_walks_that_begin_with_cold_items_are_read() -> None:
    joint = _ring_with_hidden_items()
    scores = joint.user_vectors([history(item) for item in HIDDEN]) @ joint.item_vectors.t()
    near = [[(item + step) % RING for step in range(1, 6)] for item in HIDDEN]
    best = scores.argmax(1).tolist()
    assert np.mean([item in row for item, row in zip(best, near, strict=True)]) > 0.5


# -- What it leaves alone -------------------------------------------------------------------------------------------


def test_the_backbone_stays_frozen() -> None:
    before = backbone().parameter_hash()
    vectors = backbone().input_vectors.clone()
    joined([places()])
    assert backbone().parameter_hash() == before
    assert torch.equal(backbone().input_vectors, vectors)


@pytest.mark.parametrize("learned", ["tower", "collaborative"])
def test_what_is_frozen_does_not_move(learned: str) -> None:
    starts = {name: value.clone() for name, value in base().tower.state_dict().items()}  # type: ignore[attr-defined]
    frozen = "collaborative" if learned == "tower" else "tower"
    found = _weights(joined([places()], JOINT.model_copy(update={frozen: "frozen"})))
    moved = {
        "tower": any(not torch.equal(found[f"tower.{name}"], value) for name, value in starts.items()),
        "collaborative": not torch.equal(found["latents.collaborative"], base().vectors),
    }
    assert moved == {learned: True, frozen: False}


def test_a_fitted_stage_is_frozen() -> None:
    fitted = joined([places()])
    assert not any(parameter.requires_grad for parameter in fitted.model.parameters())
    assert not fitted.model.training


# -- Bits -----------------------------------------------------------------------------------------------------------


def test_the_seed_decides_the_bits() -> None:
    _assert_same(joined([places()], seed=1), joined([places()], seed=1))
    assert any(
        not torch.equal(value, _weights(joined([places()], seed=2))[name])
        for name, value in _weights(joined([places()], seed=1)).items()
    )


class _Broken(Exception):
    """The fit was ended here."""


def _fit_in(
    folder: Path | None, negatives: int | None, stop_after: int | None = None, precision: str = "float32"
) -> Joined:
    below = base()
    if negatives is not None:
        recipe = {**below.recipe.__dict__, "full_softmax": False, "negatives": negatives}
        below = type(below)(below.tower, below.vectors, type(below.recipe)(**recipe), below.identity)

    def stop(report: EpochReport) -> None:
        if report.epoch == stop_after:
            raise _Broken

    settings = JOINT.model_copy(update={"epochs": 5, "patience": 5, "precision": precision})
    return pretrain_joint(
        rings(), below, [places()], settings, seed=3, checkpoint_dir=folder, identity="here", on_epoch=stop
    )


@pytest.mark.parametrize("negatives", [None, 10], ids=["full", "sampled"])
def test_broken_off_twice_ends_with_the_same_bits(tmp_path: Path, negatives: int | None) -> None:
    for stop_after in (2, 3):
        with pytest.raises(_Broken):
            _fit_in(tmp_path, negatives, stop_after)
    _assert_same(_fit_in(tmp_path, negatives), _fit_in(None, negatives))


def test_a_refit_for_as_many_epochs_as_were_selected_ends_where_the_selection_was() -> None:
    settings = JOINT.model_copy(update={"epochs": 12, "patience": 2, "learning_rate": 0.02})
    selected = joined([places()], settings)
    refitted = joined([places()], settings, dataset=rings(validated=False), epochs=selected.best_epoch)
    assert len(refitted.history) == refitted.best_epoch == selected.best_epoch
    assert all(torch.equal(value, _weights(refitted)[name]) for name, value in _weights(selected).items())


def test_validation_selects_the_epoch() -> None:
    fitted = joined([places()], JOINT.model_copy(update={"epochs": 5, "patience": 5}))
    values = [report.validation for report in fitted.history]
    assert None not in values
    assert fitted.best_epoch == int(np.argmax(np.asarray(values, float))) + 1


def test_the_cache_gives_the_same_vectors(tmp_path: Path) -> None:
    cache, epochs = StageCache(tmp_path), [0]

    def fit(settings: FusionSettings = JOINT, width: int = 8) -> Joint:
        def count(report: EpochReport) -> None:
            epochs[0] += 1

        content = usable([places(width=width)], N_ITEMS, ("text",))
        return fit_joint(rings(), base(), content, settings, 3, cache=cache, on_epoch=count)

    first = fit()
    trained = epochs[0]
    again = fit()
    assert epochs[0] == trained == 3
    assert torch.equal(first.item_vectors, again.item_vectors)
    asked = [history(1, 2, 3), history(), history(29)]
    assert torch.equal(first.user_vectors(asked), again.user_vectors(asked))
    assert first.parameter_hash() == again.parameter_hash()
    assert not list((tmp_path / "work").glob("joint-*"))
    fit(JOINT.model_copy(update={"align_weight": 0.0}))
    fit(width=9)
    assert epochs[0] == 3 * trained


# -- Shapes and variants --------------------------------------------------------------------------------------------


def test_an_item_that_has_nothing_is_no_number_that_is_none() -> None:
    n_items = N_ITEMS + 3
    content = [lacking(places(n_items=n_items), [0, 7, 31, 32]), lacking(places("image", n_items), [0, 8, 32])]
    settings = JOINT.model_copy(update={"modality_dropout": 0.4, "swap": 0.3, "content_dropout": 0.2})
    for epochs in (None, 4):
        fitted = joined(content, settings, epochs=epochs)
        assert all(np.isfinite(report.loss) for report in fitted.history)
        assert all(bool(torch.isfinite(value).all()) for value in _weights(fitted).values())
        joint = Joint(fitted)
        assert bool(torch.isfinite(joint.item_vectors).all())
        assert bool(torch.isfinite(joint.user_vectors([history(32, 0), history(32), history()])).all())


def test_the_papers_form_runs_and_ranks_cold_items_by_guessed_vectors() -> None:
    content = [lacking(places(n_items=33), [32])]
    paper = FusionSettings(variant="paper", hidden=16, epochs=2, patience=2, precision="float32")
    fitted = joined(content, paper)
    joint = Joint(fitted)
    assert torch.equal(_weights(fitted)["latents.collaborative"], base(n_items=33).vectors)
    parts = joint.parts()
    assert not parts.present[30:, 0].any()
    assert parts.weights[30].tolist() == [0.5, 0.5]
    assert torch.equal(parts.parts[0][30], joint.guessed_cf()[30])
    assert parts.weights[32].tolist() == [0, 0]
    assert item_gate(joint, 30) == {"cf": 0.5, "text": 0.5}
    assert item_gate(joint, 32) == {}


@pytest.mark.parametrize("negatives", [None, 10], ids=["full", "sampled"])
def test_products_in_half_the_bits_train_nearly_the_same(negatives: int | None) -> None:
    losses = {}
    for precision in ("float32", "bfloat16"):
        fitted = _fit_in(None, negatives, precision=precision)
        losses[precision] = [report.loss for report in fitted.history]
        assert all(value.dtype == torch.float32 for value in _weights(fitted).values())
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.03)
    assert losses["bfloat16"] != losses["float32"]


@pytest.mark.parametrize("switched", ["align_weight", "recon_weight"])
def test_a_loss_that_is_switched_off_leaves_its_parts_untrained(switched: str) -> None:
    off = _weights(joined([places()], JOINT.model_copy(update={switched: 0.0})))
    part = {"align_weight": "scale", "recon_weight": "decoders.1.weight"}[switched]
    other = {"align_weight": "decoders.1.weight", "recon_weight": "scale"}[switched]
    on = _weights(joined([places()], JOINT))
    assert not torch.equal(on[part], _untrained(part))
    assert torch.equal(off[part], _untrained(part))
    assert not torch.equal(off[other], _untrained(other))


def _untrained(name: str) -> torch.Tensor:
    """The value of a parameter before the first step of `joined`."""
    no_loss = JOINT.model_copy(update={"align_weight": 0.0, "recon_weight": 0.0})
    return _weights(joined([places()], no_loss, epochs=1))[name]


def test_modalities_that_are_not_wanted_take_no_part() -> None:
    fitted = joined([places(), places("image")], JOINT.model_copy(update={"modalities": ("image",)}))
    assert Joint(fitted).modalities == ("cf", "image")


def test_items_without_events_alone_train_nothing_strange() -> None:
    """Content of which no item with an event has any: the regressor falls back, the rest goes on."""
    only_new = features(np.eye(33), present=np.arange(33) >= 30)
    fitted = joined([only_new])
    assert fitted.regressor.explained == 0
    assert bool(torch.isfinite(Joint(fitted).item_vectors).all())
