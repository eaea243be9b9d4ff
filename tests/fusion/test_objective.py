"""What the joint stage minimises: the same gradient by both ways, and a switch for each loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.fusion.made import JOINT, N_ITEMS, backbone, base, lacking, places, rings

from dynmm.backbone.sasrec import Block
from dynmm.backbone.tower import Tower
from dynmm.fusion.content import Content, Standardiser, join
from dynmm.fusion.model import JointModel
from dynmm.fusion.objective import JointObjective, Losses
from dynmm.fusion.pretraining import build_joint, following
from dynmm.fusion.settings import FusionSettings
from dynmm.training.batches import TrainingBatch, training_batch, training_sequences
from dynmm.training.softmax import NegativeSampler

PLAIN = Losses(align=0, recon=0, items=64, modality_dropout=0, swap=0, mask_history=True)
#: With both losses beside, over all items that take part.
BESIDE = replace(PLAIN, align=0.3, recon=0.2)


def _content() -> Content:
    text, image = lacking(places("text"), [3, 4]), lacking(places("image", seed=1), [4, 9])
    return join([text, image], [Standardiser.of(text), Standardiser.of(image)], rings().item_counts())


def _model(settings: FusionSettings = JOINT) -> JointModel:
    below = base()
    resolved = following(settings, below.recipe)
    model = build_joint(below.tower, below.vectors, [8, 8], resolved, torch.Generator().manual_seed(4))
    # Without its dropout, so that the order in which rows are drawn does not matter.
    assert isinstance(model.tower, Tower)
    model.tower.reader.input_dropout = 0.0
    for block in model.tower.reader.blocks:
        assert isinstance(block, Block)
        block.dropout = 0.0
    with torch.no_grad():
        model.outer.weight.normal_(std=0.1, generator=torch.Generator().manual_seed(5))
    return model


def _objective(model: JointModel, losses: Losses, sampler: NegativeSampler | None = None) -> JointObjective:
    frozen = torch.randn(N_ITEMS, 16, generator=torch.Generator().manual_seed(6)) / 4
    return JointObjective(model, _content(), frozen, losses, sampler, torch.float32)


def _batch(rows: int = 8) -> TrainingBatch:
    data = rings(20)
    sequences = training_sequences(data.events.items, data.offsets, 50, windows=False)
    return training_batch(sequences, np.arange(rows))


def _generators() -> tuple[torch.Generator, torch.Generator]:
    return torch.Generator().manual_seed(2), torch.Generator().manual_seed(3)


def _gradients(
    losses: Losses, sampler: NegativeSampler | None = None, settings: FusionSettings = JOINT
) -> tuple[float, dict[str, torch.Tensor]]:
    model = _model(settings)
    loss = _objective(model, losses, sampler).backward(_batch(), *_generators())
    return float(loss), {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("mask_history", [False, True])
@pytest.mark.parametrize("losses", [PLAIN, BESIDE], ids=["rank", "all"])
def test_sampling_the_whole_catalogue_gives_the_full_gradient(losses: Losses, mask_history: bool) -> None:
    """With so many draws that every item takes part, both ways are the same number with the same slope."""
    losses = replace(losses, mask_history=mask_history)
    loss, full = _gradients(losses)
    other_loss, sampled = _gradients(losses, NegativeSampler(torch.ones(N_ITEMS), 3000, 0.0))
    assert loss == pytest.approx(other_loss, rel=1e-5)
    assert full.keys() == sampled.keys()
    for name, one in full.items():
        assert (one - sampled[name]).norm() <= 2e-4 * one.norm() + 1e-7, name


def test_the_sampled_gradient_is_nought_off_the_batch_and_after_clearing() -> None:
    model = _model()
    sampler = NegativeSampler(torch.ones(N_ITEMS), 3, 0.0)
    objective = _objective(model, BESIDE, sampler)
    sequences = training_sequences(np.asarray([4, 5, 6]), np.asarray([0, 3]), 50, windows=False)
    objective.backward(training_batch(sequences, np.asarray([0])), *_generators())
    gradient = model.latents.collaborative.grad
    assert gradient is not None
    touched = set(gradient.abs().sum(1).nonzero().flatten().tolist())
    negatives = sampler.draw(_generators()[1]).items.tolist()
    assert {4, 5, 6} <= touched <= {4, 5, 6, *negatives}
    objective.clear()
    assert not gradient.any()
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("sampled", [False, True])
def test_clearing_makes_the_next_step_as_if_it_were_the_first(sampled: bool) -> None:
    sampler = NegativeSampler(torch.ones(N_ITEMS), 5, 0.0) if sampled else None
    model = _model()
    objective = _objective(model, BESIDE, sampler)
    objective.backward(_batch(3), *_generators())
    objective.clear()
    loss = objective.backward(_batch(), *_generators())
    wanted, gradients = _gradients(BESIDE, sampler)
    assert float(loss) == wanted
    for name, one in model.named_parameters():
        assert (one.grad is not None) == (name in gradients), name
        if one.grad is not None:
            assert torch.equal(one.grad, gradients[name]), name


def test_each_loss_has_a_switch_that_changes_nothing_else() -> None:
    """The gradient of all is the sum of the gradients of each: a weight of nought takes its part away."""
    every = [_gradients(one) for one in (BESIDE, PLAIN, replace(BESIDE, recon=0), replace(BESIDE, align=0))]
    (whole, all_of), (rank, only_rank), (_, no_recon), (_, no_align) = every
    assert whole > rank
    assert not {name for name in only_rank if name.startswith("decoders") or name == "scale"}
    assert not {name for name in no_recon if name.startswith("decoders")}
    assert "scale" not in no_align
    nought = torch.zeros(())
    for name, one in all_of.items():
        rest = only_rank.get(name, nought)
        parts = (no_recon.get(name, nought) - rest) + (no_align.get(name, nought) - rest) + rest
        assert (one - parts).norm() <= 1e-4 * one.norm() + 1e-7, name


def test_a_weight_of_two_counts_twice() -> None:
    one, two = _gradients(replace(PLAIN, recon=0.1))[1], _gradients(replace(PLAIN, recon=0.2))[1]
    for name in one:
        if name.startswith("decoders"):
            torch.testing.assert_close(2 * one[name], two[name])


def test_what_is_frozen_gets_no_gradient() -> None:
    frozen = JOINT.model_copy(update={"tower": "frozen", "collaborative": "frozen"})
    sampler = NegativeSampler(torch.ones(N_ITEMS), 5, 0.0)
    for names in (_gradients(BESIDE, None, frozen)[1], _gradients(BESIDE, sampler, frozen)[1]):
        assert names
        assert not {name for name in names if name.startswith("tower") or name == "latents.collaborative"}


def test_a_swapped_item_is_not_asked_for_its_own_content() -> None:
    """Where every item shows another's content, nothing is left to reconstruct; its own latent is asked."""
    for swap, asked in ((0.0, True), (0.999, False)):
        gradients = _gradients(replace(PLAIN, recon=0.2, swap=swap))[1]
        assert ("decoders.1.weight" in gradients) == asked, swap


def test_hidden_modalities_change_the_loss() -> None:
    losses = {rate: _gradients(replace(PLAIN, modality_dropout=rate))[0] for rate in (0.0, 0.5)}
    assert losses[0.0] != losses[0.5]


def test_the_backbone_stays_as_it_was() -> None:
    before = backbone().parameter_hash()
    model = _model()
    _objective(model, BESIDE).backward(_batch(), *_generators())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert backbone().parameter_hash() == before
