"""Vectors that are no work of their encoder are told from those that are, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dynmm.catalogue.corruption import corrupt
from dynmm.catalogue.familiarity import Familiar, credible, without_strange
from dynmm.catalogue.features import Features

WIDTH = 64


def encoded(items: int, seed: int = 0, directions: int = 6, kind: int = 0) -> Features:
    """As encoders give them: numbers that hang together by a few directions, and a little that is each one's own.

    kind: the directions follow from it, and are otherwise the same for every seed.
    """
    draw = np.random.default_rng((seed, 1))
    mixing = np.random.default_rng((kind, 2)).standard_normal((directions, WIDTH))
    hidden = draw.standard_normal((items, directions))
    vectors = hidden @ mixing + 0.6 * draw.standard_normal((items, WIDTH)) + 3
    present = np.ones(items, np.bool_)
    present[:2] = False
    return Features(
        "image", "some", "some/1", (vectors * present[:, None]).astype(np.float32), present, present.astype(np.float32)
    )


def test_noise_is_told_from_what_an_encoder_gives() -> None:
    known = encoded(600)
    familiar = Familiar.of(known)
    noise = corrupt([known], "image", "noise")[0]
    assert familiar.limit is not None
    assert familiar.strange(noise)[2:].mean() > 0.9
    assert not familiar.strange(known).any()
    # Of items that it never saw, and of those that are another's.
    assert not familiar.strange(encoded(600, seed=1)).any()
    assert not familiar.strange(corrupt([known], "image", "wrong")[0]).any()
    # What is absent is nothing strange.
    assert not familiar.strange(noise)[:2].any()


def test_a_vector_at_the_mean_and_one_of_any_length_are_nothing_strange() -> None:
    known = encoded(600)
    familiar = Familiar.of(known)
    vectors = known.vectors.copy()
    vectors[2] = familiar.mean
    vectors[3] = familiar.mean + 1000 * (vectors[3] - familiar.mean)
    assert not familiar.strange(replace(known, vectors=vectors)).any()


@pytest.mark.parametrize("share", [0.0004, 0.001])
def test_few_damaged_ones_among_many_are_found(share: float) -> None:
    known = encoded(3000, directions=12)
    damaged = corrupt([known], "image", "noise", share)[0]
    hit = (damaged.vectors != known.vectors).any(1)
    found = ~credible(damaged, [str(item) for item in range(3000)]).present & known.present
    assert (hit & found).sum() == hit.sum() > 0
    assert not (found & ~hit).any()


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(encoded(150), id="few items"),
        pytest.param(encoded(600, directions=200), id="numbers that hardly hang together"),
        pytest.param(encoded(600).without(np.ones(600, np.bool_)), id="nobody has it"),
        pytest.param(replace(encoded(600), vectors=np.ones((600, WIDTH), np.float32)), id="all alike"),
        pytest.param(replace(encoded(600), vectors=encoded(600).vectors[:, :8]), id="few numbers"),
    ],
)
def test_where_noise_cannot_be_told_nothing_is(known: Features) -> None:
    familiar = Familiar.of(known)
    assert familiar.limit is None
    if known.present.any():
        assert not familiar.strange(corrupt([known], "image", "noise")[0]).any()


def test_the_same_features_give_the_same_limit() -> None:
    first, second = Familiar.of(encoded(600)), Familiar.of(encoded(600))
    assert first.limit == second.limit
    assert (first.directions == second.directions).all()


def test_what_is_strange_is_taken_away_and_told() -> None:
    known = encoded(600)
    noise = corrupt([known], "image", "noise", 0.1)[0]
    familiar = Familiar.of(known)
    strange = familiar.strange(noise)
    left = without_strange(noise, familiar, [f"i{item}" for item in range(600)])
    assert strange.sum() > 50
    assert (left.present == (noise.present & ~strange)).all()
    assert not left.quality[strange].any()
    assert [line.item for line in left.left_out] == [f"i{item}" for item in np.flatnonzero(strange)]
    assert "unlike those of the other items" in left.left_out[0].reason
    assert without_strange(known, familiar, []) is known


def test_what_was_known_stays_whatever_it_is() -> None:
    known = encoded(600)
    noise = corrupt([known], "image", "noise", 0.1)[0]
    familiar = Familiar.of(known)
    assert without_strange(noise, familiar, known=noise) is noise
    # Of items behind those that were known nothing is.
    some = known.take(np.arange(10))
    assert without_strange(noise, familiar, known=some).present.sum() < noise.present.sum()
