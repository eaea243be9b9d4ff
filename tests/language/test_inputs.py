from __future__ import annotations

import pytest
import torch
from tests.language.slate_samples import FACTS, shelf, slates

from dynmm.language.inputs import FAR, CandidateFeatures
from dynmm.language.slates import Shelf, Slates


def _fitted(relative: bool, questions: Slates, items: Shelf) -> CandidateFeatures:
    made = CandidateFeatures(FACTS, relative=relative)
    made.fit(questions, items)
    return made


@pytest.mark.parametrize("relative", [True, False])
def test_candidates_have_mean_zero_and_spread_one(relative: bool) -> None:
    questions, items = slates(200, padding=2), shelf()
    made = _fitted(relative, questions, items)
    known = made(questions, items)
    assert known.shape == (200, 6, made.width)
    assert known.dtype == torch.float32
    real = known[questions.present]
    assert real.mean(0).abs().max() < 0.05
    assert ((real.std(0) - 1).abs() < 0.1).all()
    assert (known[~questions.present] == 0).all()
    assert known.abs().max() <= FAR


def test_without_relative_features_the_others_of_the_slate_do_not_matter() -> None:
    questions, items = slates(20), shelf()
    few = questions.places(torch.tensor([[4, 1]]).expand(20, -1))
    plain = _fitted(False, questions, items)
    assert torch.equal(plain(questions, items)[:, [4, 1]], plain(few, items))
    compared = _fitted(True, questions, items)
    assert not torch.equal(compared(questions, items)[:, [4, 1]], compared(few, items))


def test_padding_does_not_change_what_the_candidates_get() -> None:
    whole, items = slates(20, padding=2), shelf()
    made = _fitted(True, whole, items)
    short = whole.places(torch.arange(4).expand(20, -1))
    assert torch.equal(made(whole, items)[:, :4], made(short, items))


def test_a_constant_feature_is_zero_and_an_extreme_one_is_cut() -> None:
    questions, items = slates(20), shelf()
    first = 4  # behind score, latent, evidence and events
    questions.facts[..., 1] = 3.0
    made = _fitted(True, questions, items)
    assert made(questions, items)[..., first + 1].abs().max() < 1e-3
    questions.facts[..., 0] = 1e6
    assert (made(questions, items)[..., first] == FAR).all()


def test_what_all_candidates_share_is_nothing_among_them() -> None:
    questions, items = slates(20), shelf()
    made = _fitted(True, questions, items)
    before = made(questions, items)
    questions.facts[..., 0] = (questions.facts[..., 0].sqrt() + 1.0).square()
    after = made(questions, items)
    assert not torch.allclose(before[..., 4], after[..., 4])
    assert torch.allclose(before[..., -FACTS], after[..., -FACTS], atol=1e-4)


def test_the_fit_lies_in_the_buffers() -> None:
    questions, items = slates(20), shelf()
    made = _fitted(True, questions, items)
    again = CandidateFeatures(FACTS)
    again.load_state_dict(made.state_dict())
    assert torch.equal(made(questions, items), again(questions, items))
