"""What a sense says of items that it was not fitted to, and what the gate makes of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.backbone.cycles import dataset_of
from tests.fusion.made import JOINT, SMALL, features, lacking, places
from torch.nn.functional import normalize

from dynmm.assembly.whole import base_of
from dynmm.backbone.pretraining import pretrain
from dynmm.backbone.system import Backbone
from dynmm.catalogue.content import Modality
from dynmm.catalogue.features import Features
from dynmm.fusion.content import Content, Standardiser, join, usable
from dynmm.fusion.gate import Gate
from dynmm.fusion.joint import Joint
from dynmm.fusion.pretraining import pretrain_joint
from dynmm.fusion.trust import Explained, explained_by
from dynmm.interactions.dataset import Dataset

N_ITEMS, D = 400, 6


def _content(*ones: Features, counts: np.ndarray | None = None) -> Content:
    seen = np.ones(ones[0].n_items) if counts is None else counts
    return join(ones, [Standardiser.of(one) for one in ones], seen)


def _drawn(modality: Modality, width: int, seed: int, n_items: int = N_ITEMS) -> Features:
    return features(np.random.default_rng(seed).normal(size=(n_items, width)), modality)


def _explained(content: Content, vectors: torch.Tensor, seed: int = 0) -> Explained:
    return explained_by(content, vectors, torch.Generator().manual_seed(seed))


def test_it_is_the_share_that_is_told_of_items_that_were_held_out() -> None:
    text = _drawn("text", 8, 1)
    # Wider than the items of a fold are many: fitted to them, these features would give everything back.
    image = _drawn("image", 2 * N_ITEMS, 2)
    content = _content(text, image)
    mix, blur = np.random.default_rng(3).normal(size=(8, D)), np.random.default_rng(4).normal(size=(N_ITEMS, D))
    signal = content.vectors[0].numpy() @ mix
    vectors = torch.tensor(signal + blur * signal.std(), dtype=torch.float32)
    found = _explained(content, vectors)
    told, guessed = found.each
    assert told == pytest.approx(0.5, abs=0.06)
    assert guessed is not None
    assert guessed < 0.01
    assert found.together is not None
    assert told is not None
    assert guessed < found.together <= told
    assert found.says_something


def test_what_stands_for_items_that_nobody_took_is_not_looked_at() -> None:
    counts = np.ones(N_ITEMS)
    counts[300:] = 0
    content = _content(_drawn("text", 8, 1), counts=counts)
    vectors = content.vectors[0] @ torch.randn(8, D, generator=torch.Generator().manual_seed(1))
    spoilt = vectors.clone()
    spoilt[300:] = 1e6
    assert _explained(content, spoilt) == _explained(content, vectors)


def test_items_without_the_modality_are_left_out_of_its_share() -> None:
    text = _drawn("text", 8, 1)
    halved = lacking(text, range(0, N_ITEMS, 2))
    vectors = _content(text).vectors[0] @ torch.randn(8, D, generator=torch.Generator().manual_seed(1))
    (found,) = _explained(_content(halved), vectors).each
    assert found is not None
    assert found > 0.95


def test_of_few_items_nothing_is_said() -> None:
    content = _content(_drawn("text", 8, 1), lacking(_drawn("image", 8, 2), range(99, N_ITEMS)))
    text, image = _explained(content, torch.randn(N_ITEMS, D, generator=torch.Generator().manual_seed(1))).each
    assert text is not None
    assert image is None


def test_vectors_that_are_all_the_same_are_explained_by_nothing() -> None:
    assert _explained(_content(_drawn("text", 8, 1)), torch.ones(N_ITEMS, D)) == Explained((0.0,), 0.0)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_drawn_at_random_says_nothing(seed: int) -> None:
    content = _content(_drawn("text", 30, seed), _drawn("image", 60, 50 + seed))
    found = _explained(content, torch.randn(N_ITEMS, D, generator=torch.Generator().manual_seed(seed)), seed)
    assert not found.says_something
    assert found.trust().tolist() == [0.0, 0.0]


def test_features_that_are_not_finite_say_nothing_and_spoil_nothing() -> None:
    content = _content(_drawn("text", 8, 1), _drawn("image", 8, 2))
    content.vectors[1][0, 0] = torch.nan
    vectors = content.vectors[0] @ torch.randn(8, D, generator=torch.Generator().manual_seed(1))
    found = _explained(content, vectors)
    assert found.each[0] is not None
    assert (found.each[1], found.together) == (None, None)
    assert not found.says_something
    assert found.trust().tolist() == [0.0, 0.0]


def test_trust_is_the_log_of_the_share_beside_the_best() -> None:
    assert Explained((0.2, 0.05, 0.2), 0.3).trust().tolist() == pytest.approx([0, math.log(0.25), 0])


def test_what_explains_nothing_keeps_a_hundredth() -> None:
    assert Explained((0.2, 0.0, -0.3), 0.2).trust().tolist() == pytest.approx([0, math.log(0.01), math.log(0.01)])


@pytest.mark.parametrize("each", [(0.3, None), (0.0, -0.1), (-0.009, -0.1), (None, None), ()])
@pytest.mark.parametrize("together", [None, 0.3])
def test_where_shares_are_not_known_all_are_trusted_alike(
    each: tuple[float | None, ...], together: float | None
) -> None:
    assert Explained(each, together).trust().tolist() == [0.0] * len(each)


def test_trust_and_guesses_hang_on_what_all_senses_say_together() -> None:
    noise, little = Explained((0.03, 0.004), 0.005), Explained((0.008, 0.004), 0.02)
    assert not noise.says_something
    assert noise.trust().tolist() == [0, 0]
    assert little.says_something
    assert little.trust().tolist() == pytest.approx([0, math.log(0.5)])


def test_the_gate_heeds_trust_where_nobody_took_the_item_and_nowhere_else() -> None:
    draws = torch.Generator().manual_seed(0)
    projected = [normalize(torch.randn(2, 4, generator=draws), dim=-1) for _ in range(3)]
    present = torch.tensor([[True, True, True], [False, True, True]])
    quality = torch.rand(2, 3, generator=draws)
    gate = Gate(3)
    before = gate(projected, present, quality)
    gate.trust[2] = math.log(0.25)
    after = gate(projected, present, quality)
    assert torch.equal(after[0], before[0])
    torch.testing.assert_close(after[1, 2] / after[1, 1], before[1, 2] / before[1, 1] / 4)


def test_new_items_are_placed_by_the_sense_that_says_something_of_them() -> None:
    """Pictures drawn at random single out each item that was trained on, and say nothing of the next."""
    n_items, walks = 160, _walks(160)
    image = _drawn("image", 64, 7, n_items)
    content = usable([places(n_items=n_items), image], n_items, ("text", "image"))
    backbone = Backbone(pretrain(walks, SMALL.model_copy(update={"epochs": 20}), 0))
    joint = Joint(pretrain_joint(walks, base_of(backbone), content, JOINT, 0, epochs=3))
    found = joint.parts()
    new = ~found.present[:, 0]
    assert int(new.sum()) == 40
    text, picture = joint.joined.explained.each
    assert text is not None
    assert picture is not None
    assert text > 0.1 > picture
    assert joint.joined.guessed == 0.5
    assert float(found.weights[new, 1].mean()) > 2 * float(found.weights[new, 2].mean())


def _walks(n_items: int) -> Dataset:
    """Everyone walks round a ring on which nobody takes every fourth item."""
    random = np.random.default_rng(0)
    known = np.arange(n_items)[np.arange(n_items) % 4 != 3]
    starts = random.integers(0, len(known), 400)
    return dataset_of([[int(known[(start + step) % len(known)]) for step in range(12)] for start in starts], n_items)
