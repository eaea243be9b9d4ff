"""Projectors give tokens of the right size, and the read-out begins at nought."""

from __future__ import annotations

import pytest
import torch

from dynmm.language.soft import Projector, ReadOut


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_untrained_tokens_have_the_norm_of_the_models_own(scale: float) -> None:
    vectors = torch.randn(200, 8, generator=torch.Generator().manual_seed(0)) * scale + 3 * scale
    projector = Projector(8, 16, 32)
    projector.fit(vectors, 2.5)
    assert float(projector(vectors).detach().norm(dim=1).mean()) == pytest.approx(2.5, rel=1e-5)


def test_one_scale_for_all_dimensions() -> None:
    vectors = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 2.0, 4.0])
    projector = Projector(3, 4, 4)
    projector.fit(vectors, 1.0)
    even = (vectors - projector.mean) / projector.spread
    assert float(even.square().mean()) == pytest.approx(1, rel=1e-5)
    torch.testing.assert_close(even.std(0) / even.std(0)[0], vectors.std(0) / vectors.std(0)[0])


@pytest.mark.parametrize("vectors", [torch.empty(0, 4), torch.ones(5, 4)])
def test_vectors_that_tell_nothing_apart_give_finite_tokens(vectors: torch.Tensor) -> None:
    projector = Projector(4, 8, 8)
    projector.fit(vectors, 1.0)
    assert torch.isfinite(projector(torch.randn(3, 4))).all()


def test_an_untrained_read_out_says_nought() -> None:
    assert not ReadOut(8)(torch.randn(2, 3, 8)).any()


def test_dropout_is_for_training_alone() -> None:
    projector = Projector(8, 64, 8, dropout=0.5)
    vectors = torch.randn(5, 8)
    assert not torch.equal(projector(vectors), projector(vectors))
    projector.eval()
    assert torch.equal(projector(vectors), projector(vectors))
