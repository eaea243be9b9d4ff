"""Which tastes a modality shows, and how they become traits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from dynmm.catalogue.content import AUDIO, IMAGE, MODALITIES, TEXT
from dynmm.simulation.styles import shown_tastes, styles


def distances(vectors: np.ndarray) -> np.ndarray:
    one, other = np.triu_indices(len(vectors), 1)
    return np.asarray(np.linalg.norm(vectors[one] - vectors[other], axis=1))


@given(st.integers(1, 60), st.floats(0.001, 1))
def test_a_modality_shows_its_share_and_one_taste_at_least(factors: int, share: float) -> None:
    for modality in MODALITIES:
        assert shown_tastes(factors, modality, share).sum() == max(1, round(share * factors))
        assert shown_tastes(factors, modality, 1.0).all()


@pytest.mark.parametrize("factors", [3, 6, 9, 24])
def test_with_a_third_each_every_taste_is_shown_once(factors: int) -> None:
    shown = [shown_tastes(factors, modality, 1 / 3) for modality in (TEXT, IMAGE, AUDIO)]
    assert np.sum(shown, axis=0).tolist() == [1] * factors


@given(st.integers(1, 20), st.integers(1, 12), st.floats(0, 1), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_traits_lie_between_0_and_1_and_use_that_range(factors: int, traits: int, follows: float, seed: int) -> None:
    liking = np.random.default_rng(seed).standard_normal((factors, 200))
    style = styles(liking, np.ones(factors, bool), traits, follows, seed, IMAGE)
    assert style.shape == (200, traits)
    assert ((style >= 0) & (style <= 1)).all()
    assert (np.ptp(style, axis=0) > 0.6).all()


def test_tastes_that_do_not_show_leave_no_trace_and_those_that_do_are_not_lost() -> None:
    random = np.random.default_rng(1)
    liking = random.standard_normal((6, 150))
    shown = np.array([True, True, True, False, False, False])
    style = styles(liking, shown, 8, 1.0, 5, AUDIO)
    hidden = np.where(shown[:, None], liking, random.standard_normal((6, 150)))
    assert np.array_equal(style, styles(hidden, shown, 8, 1.0, 5, AUDIO))
    assert spearmanr(distances(style), distances(liking[shown].T)).statistic > 0.8
    assert not np.allclose(style, styles(liking, shown, 8, 1.0, 6, AUDIO))


def test_a_taste_that_likes_all_items_alike_makes_no_difference() -> None:
    style = styles(np.ones((2, 30)), np.ones(2, bool), 4, 1.0, 0, IMAGE)
    assert np.array_equal(style, np.full((30, 4), 0.5))
