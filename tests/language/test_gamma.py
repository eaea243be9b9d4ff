from __future__ import annotations

import logging
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.language.slate_samples import slates

from dynmm.language.gamma import Gain, choose_gamma, ndcg, term
from dynmm.language.questions import Questions, questions_of
from dynmm.language.slates import NOBODY


@settings(max_examples=30, deadline=None)
@given(gamma=st.floats(0, 4), padding=st.integers(0, 3), seed=st.integers(0, 9))
def test_a_term_is_never_negative_and_nothing_at_padding(gamma: float, padding: int, seed: int) -> None:
    asked = slates(8, padding=padding, seed=seed)
    raw = torch.randn(8, 6, generator=torch.Generator().manual_seed(seed))
    raw[~asked.present] = math.nan
    made = term(raw, asked, gamma)
    assert not made.failed.any()
    assert (made.values >= 0).all()
    assert (made.values[~asked.present] == 0).all()
    real = made.values[:, : 6 - padding]
    assert (real.amin(1) == 0).all()
    expected = gamma * (raw[:, : 6 - padding] - raw[:, : 6 - padding].amin(1, keepdim=True))
    assert torch.allclose(real, expected, atol=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_falls_back_and_is_counted(bad: float, caplog: pytest.LogCaptureFixture) -> None:
    asked = slates(3)
    raw = torch.arange(18.0).view(3, 6)
    raw[1, 2] = bad
    with caplog.at_level(logging.WARNING):
        made = term(raw, asked, 2.0)
    assert made.failed.tolist() == [False, True, False]
    assert (made.values[1] == 0).all()
    assert made.values[0].tolist() == [0, 2, 4, 6, 8, 10]
    assert "1 of 3 questions" in caplog.text


def test_people_without_a_history_keep_the_order_below() -> None:
    asked = slates(3)
    history = asked.history.clone()
    history[1] = NOBODY
    made = term(torch.arange(18.0).view(3, 6), replace(asked, history=history), 2.0)
    assert (made.values[1] == 0).all()
    assert made.values[0].tolist() == made.values[2].tolist() == [0, 2, 4, 6, 8, 10]
    assert not made.failed.any()


def test_an_empty_slate_gets_zeros() -> None:
    made = term(torch.randn(2, 3), slates(2, 3, padding=3), 1.0)
    assert (made.values == 0).all()
    assert not made.failed.any()


def test_ndcg_counts_equal_scores_against_the_answer() -> None:
    scores = torch.tensor([[3.0, 2.0, 1.0], [1.0, 1.0, 0.0]])
    assert ndcg(scores, torch.tensor([0, 0])) == pytest.approx((1 + 1 / math.log2(3)) / 2)
    assert ndcg(scores[:0], torch.tensor([], dtype=torch.int64)) == 0.0
    long = torch.arange(12.0)[None]
    assert ndcg(long, torch.tensor([1])) == 0.0


def test_a_good_reranker_is_weighed_and_a_bad_one_left_out() -> None:
    asked = slates(50)
    best = asked.facts[..., 0].argmax(1)
    questions = questions_of(asked, asked.items.gather(1, best[:, None])[:, 0], torch.arange(50))
    good = choose_gamma(asked.facts[..., 0] * 20, questions, (1.0, 0.0, 0.5))
    assert good.tried == (0.0, 0.5, 1.0)
    assert good.value > 0
    assert max(good.ndcg) == good.ndcg[good.tried.index(good.value)]
    bad = choose_gamma(-asked.facts[..., 0] * 20, questions, (0.0, 0.5, 1.0))
    assert bad.value == 0.0
    none = choose_gamma(torch.zeros(50, 6), questions, (0.0, 0.5, 1.0))
    assert none.value == 0.0
    assert len(set(none.ndcg)) == 1


def _of_places(places: list[tuple[int, int]]) -> tuple[torch.Tensor, Questions]:
    """Questions of three candidates. places: of each answer by the stages below, and by the re-ranker."""
    asked = slates(len(places))
    scores, raw = torch.zeros(len(places), 6), torch.zeros(len(places), 6)
    for row, (before, after) in enumerate(places):
        # The answer is the first candidate; so many others are ahead of it.
        scores[row, 0], scores[row, 1 : 1 + before] = 0.5, 1.0
        raw[row, 0] = 100.0
        raw[row, 1 : 1 + after] = 200.0
    alike = replace(asked, scores=scores)
    return raw, questions_of(alike, asked.items[:, 0], torch.arange(len(places)))


def test_a_weight_is_left_out_where_its_gain_may_be_luck() -> None:
    # One answer of fifty climbs from the third place to the first; the others stay where they are.
    raw, questions = _of_places([(2, 0)] + [(0, 0)] * 49)
    lucky = choose_gamma(raw, questions, (0.0, 1.0))
    assert lucky.ndcg[1] > lucky.ndcg[0]
    assert lucky.value == 0.0
    # Where it must not be left out, it is not.
    assert choose_gamma(raw, questions, (1.0,)).value == 1.0
    raw, questions = _of_places([(2, 0)] * 10 + [(0, 0)] * 40)
    assert choose_gamma(raw, questions, (0.0, 1.0)).value == 1.0
    # What helps some and harms nearly as many.
    raw, questions = _of_places([(2, 0)] * 10 + [(0, 2)] * 9 + [(0, 0)] * 31)
    assert choose_gamma(raw, questions, (0.0, 1.0)).value == 0.0


def test_a_chosen_weight_knows_its_gain_and_how_sure_it_is() -> None:
    raw, questions = _of_places([(2, 0)] * 10 + [(0, 0)] * 40)
    gain = choose_gamma(raw, questions, (0.0, 1.0)).gain
    differences = np.array([0.5] * 10 + [0.0] * 40)
    assert gain.mean == pytest.approx(0.1)
    assert gain.error == pytest.approx(differences.std(ddof=1) / 50**0.5)
    assert gain.errors == pytest.approx(gain.mean / gain.error)
    # Without 0 among the weights it is still the gain over the stages below.
    assert choose_gamma(raw, questions, (1.0,)).gain == gain
    # What is left out gains nothing.
    assert choose_gamma(-raw, questions, (0.0, 1.0)).gain == Gain(0.0, 0.0)


@pytest.mark.parametrize("differences", [[], [0.5], [0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
def test_a_sample_that_cannot_tell_its_error_is_never_sure(differences: list[float]) -> None:
    gain = Gain.of(np.array(differences))
    assert gain.errors == 0.0
    other = Gain(0.02, 0.01)
    assert gain.with_other(other) == other == other.with_other(gain)


def test_two_samples_count_by_their_precision() -> None:
    both = Gain(0.03, 0.01).with_other(Gain(0.0, 0.02))
    assert both.mean == pytest.approx(0.024)
    assert both.error == pytest.approx(0.01 * (4 / 5) ** 0.5)
    # As many questions again, with the same gain: 1.41 times as many standard errors.
    again = Gain(0.03, 0.01).with_other(Gain(0.03, 0.01))
    assert again.errors == pytest.approx(3.0 * 2**0.5)
