"""From content to collaborative vectors: what is linear is found, and where nothing is known it is the mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.fusion.made import features, lacking, places

from dynmm.fusion.content import Content, Standardiser, join
from dynmm.fusion.regressor import ContentRegressor, fit_regressor

N_ITEMS, D = 300, 6


def _content(counts: np.ndarray, width: int = 10, scale: float = 1.0) -> Content:
    random = np.random.default_rng(0)
    one = features(scale * random.normal(size=(len(counts), width)) + 3)
    return join([one], [Standardiser.of(one)], counts)


def _linear(content: Content, noise: float = 0.0) -> torch.Tensor:
    draws = torch.Generator().manual_seed(1)
    weight = torch.randn(content.vectors[0].shape[1], D, generator=draws)
    blur = torch.randn(len(content.present), D, generator=draws)
    return content.vectors[0] @ weight + torch.arange(D) + noise * blur


def _fit(content: Content, vectors: torch.Tensor) -> ContentRegressor:
    return fit_regressor(content, vectors, torch.Generator().manual_seed(2))


def test_a_linear_map_is_recovered_for_items_that_were_never_seen() -> None:
    counts = np.ones(N_ITEMS)
    counts[200:] = 0
    content = _content(counts)
    vectors = _linear(content)
    seen = vectors.clone()
    seen[200:] = 1e3  # what stands there for an item without an event means nothing
    found = _fit(content, seen)
    lost, spread = found(content)[200:] - vectors[200:], vectors[200:] - vectors[:200].mean(0)
    assert float(lost.square().sum() / spread.square().sum()) < 0.001
    assert found.explained > 0.99
    assert found.penalty == 0.01


def test_noise_asks_for_a_stronger_penalty_and_is_not_explained() -> None:
    content = _content(np.ones(60), width=40)
    clear = _fit(content, _linear(content))
    draws = torch.Generator().manual_seed(5)
    lost = _fit(content, torch.randn(60, D, generator=draws))
    assert lost.penalty > clear.penalty
    assert lost.explained < 0.3


@pytest.mark.parametrize("known", [0, 1])
def test_with_hardly_an_item_known_it_is_the_mean(known: int) -> None:
    counts = np.zeros(5)
    counts[:known] = 1
    content = _content(counts)
    vectors = torch.arange(5 * D, dtype=torch.float32).view(5, D)
    found = _fit(content, vectors)
    wanted = vectors[0] if known else torch.zeros(D)
    assert torch.equal(found(content), wanted.expand(5, D))
    assert found.explained == 0


def test_known_items_without_content_still_give_the_mean() -> None:
    one = features(np.ones((4, 3)), present=np.zeros(4, bool))
    content = join([one], [Standardiser.of(one)], np.asarray([1, 1, 0, 0]))
    vectors = torch.tensor([[1.0, 5.0], [3.0, 7.0], [99.0, 99.0], [99.0, 99.0]])
    assert _fit(content, vectors)(content).tolist() == [[2.0, 6.0]] * 4


def test_two_known_items_are_enough_for_something_finite() -> None:
    content = _content(np.ones(2))
    found = _fit(content, torch.randn(2, D, generator=torch.Generator().manual_seed(1)))
    assert bool(torch.isfinite(found(content)).all())


def test_every_modality_is_read() -> None:
    text, image = places("text"), places("image", seed=1)
    content = join([text, image], [Standardiser.of(text), Standardiser.of(image)], np.ones(30))
    found = _fit(content, content.vectors[1][:, :4].clone())
    assert found.weight.shape == (16, 4)
    assert found.explained > 0.9


def test_shares_of_modalities_add_up_to_the_guess() -> None:
    text, image = places("text"), places("image", seed=1)
    content = join([text, lacking(image, [3])], [Standardiser.of(text), Standardiser.of(image)], np.ones(30))
    found = _fit(content, content.vectors[1][:, :4] + content.vectors[0][:, :4])
    shares = found.shares(content)
    torch.testing.assert_close(sum(shares, start=found.bias), found(content))
    assert [one.shape for one in shares] == [(30, 4), (30, 4)]
    assert bool(shares[0].any(1).all())
    assert not shares[1][3].any()
