"""The backbone's transformer as a reader of tables that somebody else owns."""

from __future__ import annotations

import functools

import numpy as np
import torch
from tests.backbone.cycles import N_ITEMS, QUICK, ring_dataset

from dynmm.backbone.pretraining import pretrain
from dynmm.backbone.system import Backbone
from dynmm.topk import SAME_KERNEL_ROWS
from dynmm.training.batches import training_batch, training_sequences
from dynmm.types import UserHistory


@functools.cache
def _backbone() -> Backbone:
    return Backbone(pretrain(ring_dataset(40), QUICK.model_copy(update={"width": 16, "inner": 16, "epochs": 1}), 0))


def _histories() -> list[np.ndarray]:
    return [np.arange(length, dtype=np.int32) % N_ITEMS for length in (1, 2, 0, 7, 8, 9, 20, 60)]


def test_over_the_backbones_own_table_it_reads_as_the_backbone() -> None:
    backbone = _backbone()
    states = backbone.tower().states(_histories(), backbone.input_vectors)
    users = backbone.user_vectors([UserHistory(one) for one in _histories()])
    read = torch.nn.functional.normalize(states, dim=-1)
    known = torch.tensor([len(one) > 0 for one in _histories()])
    torch.testing.assert_close(read[known], torch.nn.functional.normalize(users[known], dim=-1))
    assert not states[~known].any()


def test_the_newest_place_in_training_is_what_inference_reads() -> None:
    backbone, data = _backbone(), ring_dataset(20)
    tower = backbone.tower()
    sequences = training_sequences(data.events.items, data.offsets, 50, windows=False)
    batch = training_batch(sequences, np.arange(8))
    places = tower(batch.items, batch.lengths, None, backbone.input_vectors)
    last = places[torch.arange(8), batch.lengths - 1]
    histories = [row[:length].numpy() for row, length in zip(batch.items, batch.lengths.tolist(), strict=True)]
    torch.testing.assert_close(last, tower.states(histories, backbone.input_vectors), rtol=1e-4, atol=1e-5)


def test_only_the_rows_that_are_read_matter() -> None:
    backbone = _backbone()
    table = backbone.input_vectors.clone()
    tower = backbone.tower()
    before = tower.states([np.asarray([3, 4])], table)
    table[20:] = 9
    assert torch.equal(tower.states([np.asarray([3, 4])], table), before)
    table[4] = 9
    assert not torch.equal(tower.states([np.asarray([3, 4])], table), before)


def test_a_history_is_read_alone_as_among_others() -> None:
    backbone = _backbone()
    tower, histories = backbone.tower(), [*_histories(), *(one[::-1].copy() for one in _histories())]
    together = tower.states(histories, backbone.input_vectors)
    for at, one in enumerate(histories):
        assert torch.equal(tower.states([one], backbone.input_vectors)[0], together[at])
    assert tower.states([], backbone.input_vectors).shape == (0, 16)
    assert len(histories) >= SAME_KERNEL_ROWS  # else all are filled up to as many rows, and any tower passes


def test_training_a_tower_leaves_the_backbone_and_other_towers_alone() -> None:
    backbone = _backbone()
    before = backbone.parameter_hash()
    tower, other = backbone.tower(), backbone.tower()
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.add_(1)
    assert backbone.parameter_hash() == before
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), backbone.tower().parameters(), strict=True))
    assert tower.width == 16


def test_the_table_that_is_never_read_is_not_trained() -> None:
    tower = _backbone().tower()
    assert not tower.reader.item_table.requires_grad
    assert not tower.reader.start.requires_grad
    assert all(parameter.requires_grad for block in tower.reader.blocks for parameter in block.parameters())
