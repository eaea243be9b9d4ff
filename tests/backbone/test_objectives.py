"""Gradients land where they belong, whichever way they are made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.backbone.cycles import N_ITEMS, ring_dataset

from dynmm.backbone.objectives import FullObjective, SampledObjective
from dynmm.backbone.sasrec import SASRec
from dynmm.training.batches import TrainingBatch, training_batch, training_sequences
from dynmm.training.softmax import NegativeSampler


def _model() -> SASRec:
    return SASRec(N_ITEMS, width=16, inner=16, block_dropout=0.3, init=torch.Generator().manual_seed(1))


def _batch() -> TrainingBatch:
    dataset = ring_dataset(20)
    sequences = training_sequences(dataset.events.items, dataset.offsets, 50, windows=False)
    return training_batch(sequences, np.arange(8))


def _generators() -> tuple[torch.Generator, torch.Generator]:
    return torch.Generator().manual_seed(2), torch.Generator().manual_seed(3)


@pytest.mark.parametrize("mask_history", [False, True])
def test_sampling_the_whole_catalogue_gives_the_full_gradient(mask_history: bool) -> None:
    """With so many draws that every item is in, both objectives are the same number with the same slope."""
    one, other = _model(), _model()
    full = FullObjective(one, mask_history=mask_history, precision=torch.float32)
    sampler = NegativeSampler(torch.ones(N_ITEMS), 3000, 0.0)
    sampled = SampledObjective(other, sampler, mask_history=mask_history, precision=torch.float32)
    batch = _batch()
    torch.testing.assert_close(full.backward(batch, *_generators()), sampled.backward(batch, *_generators()))
    for (name, parameter), twin in zip(one.named_parameters(), other.parameters(), strict=True):
        if parameter.requires_grad:
            assert parameter.grad is not None
            assert twin.grad is not None
            assert (parameter.grad - twin.grad).norm() <= 1e-4 * parameter.grad.norm(), name


def test_the_sampled_gradient_is_zero_off_the_batch_and_after_clearing() -> None:
    model = _model()
    sampler = NegativeSampler(torch.ones(N_ITEMS), 3, 0.0)
    objective = SampledObjective(model, sampler, mask_history=True, precision=torch.float32)
    sequences = training_sequences(np.asarray([4, 5, 6]), np.asarray([0, 3]), 50, windows=False)
    objective.backward(training_batch(sequences, np.asarray([0])), *_generators())
    gradient = model.item_table.grad
    assert gradient is not None
    touched = gradient.abs().sum(1).nonzero().flatten().tolist()
    negatives = sampler.draw(_generators()[1]).items.tolist()
    assert {4, 5, 6} <= set(touched) <= {4, 5, 6, *negatives}
    objective.clear()
    assert not gradient.any()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_masking_the_history_changes_the_loss() -> None:
    losses = {
        mask: float(
            FullObjective(_model(), mask_history=mask, precision=torch.float32).backward(_batch(), *_generators())
        )
        for mask in (False, True)
    }
    assert losses[True] < losses[False]
