"""Features side by side: standardised, absent rows at zero, in half precision from the start."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.fusion.made import features, lacking, places

from dynmm.catalogue.features import Attributes, Features
from dynmm.errors import DataError
from dynmm.fusion.content import Standardiser, halved, join, usable


def _spread_out(n_items: int = 200, width: int = 12) -> Features:
    random = np.random.default_rng(0)
    return features(random.normal(size=(n_items, width)) * np.arange(1, width + 1) + 7)


def test_standardised_features_have_mean_nought_and_length_about_one() -> None:
    one = lacking(_spread_out(), range(0, 200, 3))
    found = Standardiser.of(one)(one)
    there = found[torch.from_numpy(one.present)]
    assert there.mean(0).abs().max() < 1e-5
    assert there.square().sum(1).mean() == pytest.approx(1, rel=1e-4)
    assert not found[~torch.from_numpy(one.present)].any()


def test_one_scale_for_all_dimensions_keeps_their_proportions() -> None:
    one = _spread_out()
    spreads = Standardiser.of(one)(one).std(0)
    own = torch.from_numpy(one.vectors).std(0)
    torch.testing.assert_close(spreads / spreads[0], own / own[0])


@pytest.mark.parametrize("vectors", [np.full((5, 3), 4.0), np.zeros((5, 3)), np.ones((1, 3))])
def test_features_that_tell_nothing_apart_become_nought(vectors: np.ndarray) -> None:
    one = features(vectors)
    assert not Standardiser.of(one)(one).any()


def test_features_of_no_item_are_standardised_to_nought() -> None:
    one = features(np.ones((4, 3)), present=np.zeros(4, bool))
    found = Standardiser.of(one)(one)
    assert found.shape == (4, 3)
    assert not found.any()


def test_what_came_later_is_standardised_as_the_fit_was() -> None:
    one = _spread_out()
    scaler = Standardiser.of(one)
    some = np.asarray([3, 17])
    assert torch.equal(scaler(one.take(some)), scaler(one)[torch.from_numpy(some)])


def test_joined_columns_begin_with_the_collaborative_one() -> None:
    text, image = lacking(places("text"), [1]), lacking(places("image"), [2])
    counts = np.zeros(30, np.int64)
    counts[[0, 1]] = 5, 15
    content = join([text, image], [Standardiser.of(text), Standardiser.of(image)], counts)
    assert content.names == ("text", "image")
    assert content.present[:4].tolist() == [
        [True, True, True],
        [True, False, True],
        [False, True, False],
        [False, True, True],
    ]
    assert content.quality[:3].tolist() == [[0.5, 1.0, 1.0], [0.75, 0.0, 1.0], [0.0, 1.0, 0.0]]
    few = content.take(torch.tensor([2, 1]))
    assert torch.equal(few.present, content.present[[2, 1]])
    assert torch.equal(few.vectors[1], content.vectors[1][[2, 1]])


def test_items_that_no_training_has_seen_have_no_collaborative_part() -> None:
    text = places()
    content = join([text], [Standardiser.of(text)], None)
    assert not content.present[:, 0].any()
    assert not content.quality[:, 0].any()


def test_only_wanted_modalities_that_some_item_has_take_part() -> None:
    nobody = features(np.ones((30, 3)), "audio", np.zeros(30, bool))
    found = usable([places("text"), places("image"), nobody], 30, ("text", "audio"))
    assert [one.modality for one in found] == ["text"]
    assert usable([], 30, ("text",)) == []


def test_features_of_another_number_of_items_are_refused() -> None:
    with pytest.raises(DataError, match="text features are of 30 items, the data set has 31"):
        usable([places()], 31, ("text",))


def test_what_is_trained_on_is_what_half_precision_holds() -> None:
    random = np.random.default_rng(1)
    vectors = random.normal(size=(6, 5)).astype(np.float32)
    vectors[0] = 1e9
    named = Attributes(("dark",), random.random((6, 1)).astype(np.float32))
    raw = Features("image", "made", "made/5", vectors, np.ones(6, bool), np.ones(6, np.float32), named)
    once = halved(raw)
    assert np.isfinite(once.vectors).all()
    assert np.array_equal(once.vectors[1:], once.vectors[1:].astype(np.float16).astype(np.float32))
    assert once.attributes is not None
    assert np.array_equal(once.attributes.values, once.attributes.values.astype(np.float16).astype(np.float32))
    assert np.array_equal(halved(once).vectors, once.vectors)
    np.testing.assert_allclose(once.vectors, vectors, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("offset", "step"), [(5_000, 0.1), (0, 1e-8), (0, 1e5), (1e6, 1e5), (0, 1e38)])
def test_half_precision_takes_nothing_off_what_tells_items_apart(offset: float, step: float) -> None:
    random = np.random.default_rng(2)
    raw = features(offset + step * random.uniform(-2, 2, size=(40, 5)))
    (kept,) = usable([raw], 40, ("text",))
    bounded = np.clip(raw.vectors, -1e15, 1e15).astype(np.float64)
    wanted = bounded - bounded.mean(0)
    wanted /= np.sqrt((wanted**2).sum(1).mean())
    scaler = Standardiser.of(kept)
    np.testing.assert_allclose(scaler(kept).numpy(), wanted, atol=0.01)
    one = kept.take(np.asarray([7]))
    assert torch.equal(scaler(halved(one, scaler.scale)), scaler(kept)[7:8]), "a new item is rounded as the fit's were"


def test_what_is_far_out_costs_the_others_nothing() -> None:
    raw = features(np.random.default_rng(3).normal(size=(6, 5)))
    alone = halved(raw, 1.0)
    raw.vectors[0] += 1e5
    beside = halved(raw, 1.0)
    assert np.array_equal(beside.vectors[0], raw.vectors[0])
    assert np.array_equal(beside.vectors[1:], alone.vectors[1:])
    assert np.array_equal(alone.vectors, alone.vectors.astype(np.float16).astype(np.float32))
