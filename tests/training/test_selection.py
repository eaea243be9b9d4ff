"""The validation that chooses the epoch, the vector for nobody in particular, and dropout from bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.backbone.cycles import next_step_cases, ring_histories

from dynmm.training.dropout import drop
from dynmm.training.selection import Selection
from dynmm.training.start import start_vector


def test_ndcg_is_over_the_whole_catalogue_less_the_history() -> None:
    """Each user's vector is that of the item asked for: first among all, as long as their history is out of it."""
    histories = ring_histories(40, seed=1, shortest=2)
    selection = Selection(next_step_cases(histories), 100, seed=0)
    items = torch.eye(30)
    targets = torch.tensor([(history[-1] + 1) % 30 for history in histories])
    assert selection.ndcg(items[targets], items) == pytest.approx(1.0)
    last = torch.tensor([history[-1] for history in histories])
    nearly = items[targets] + 2 * items[last]
    assert selection.ndcg(nearly, items) == pytest.approx(1.0)
    second = items[targets] + 2 * items[(targets + 7) % 30]
    assert selection.ndcg(second, items) == pytest.approx(1 / np.log2(3), abs=0.02)


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    cases = next_step_cases(ring_histories(60, seed=1))
    one, same, other = (Selection(cases, 20, seed) for seed in (1, 1, 2))
    assert len(one) == 20
    assert all(np.array_equal(a, b) for a, b in zip(one.histories, same.histories, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(one.histories, other.histories, strict=True))


def test_nobody_in_particular_is_given_what_is_taken_most() -> None:
    draws = torch.Generator().manual_seed(0)
    items = torch.nn.functional.normalize(torch.randn(40, 16, generator=draws), dim=-1)
    counts = torch.ones(40)
    counts[7], counts[3] = 200, 60
    scores = items @ start_vector(items, counts)
    assert scores.topk(2).indices.tolist() == [7, 3]
    assert torch.equal(start_vector(items, counts), start_vector(items, counts))


def test_items_of_which_nothing_is_known_do_not_spoil_it() -> None:
    items = torch.cat([torch.eye(4), torch.zeros(2, 4)])
    found = start_vector(items, torch.tensor([9.0, 1, 1, 1, 0, 0]))
    assert bool(torch.isfinite(found).all())
    assert int((items @ found).argmax()) == 0


def test_dropout_keeps_the_mean_and_the_share() -> None:
    values = torch.ones(64, 1000)
    found = drop(values, 0.25, torch.Generator().manual_seed(1))
    assert float((found == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(found.mean()) == pytest.approx(1, abs=0.01)
    assert torch.equal(found, drop(values, 0.25, torch.Generator().manual_seed(1)))
    assert drop(values, 0.25, None) is values
    assert drop(values, 0.0, torch.Generator()) is values
    assert drop(torch.ones(3), 0.5, torch.Generator()).shape == (3,)
