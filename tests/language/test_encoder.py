"""An encoder through vectors: both ways where it may look, no past, no words."""

from __future__ import annotations

import pytest
import torch
from tests.language.tiny import CONTEXT, tiny_model

from dynmm.errors import ModelError
from dynmm.language.encoder import EncoderModel

_ENCODERS = ("bert", "roberta")


def _model(kind: str, checkpointing: bool = False) -> EncoderModel:
    model = tiny_model(kind, "float32", checkpointing)
    assert isinstance(model, EncoderModel)
    return model


@pytest.mark.parametrize("kind", _ENCODERS)
def test_a_text_reads_as_the_library_reads_it(kind: str) -> None:
    model = _model(kind)
    tokens = torch.arange(5, 17)[None]
    hidden, past = model.run(model.embed(tokens), torch.ones(1, 12, 12, dtype=torch.bool), torch.arange(12)[None])
    assert torch.allclose(hidden, model.library(input_ids=tokens).last_hidden_state, atol=1e-5)
    assert past is None
    assert not model.caches


@pytest.mark.parametrize("kind", _ENCODERS)
def test_what_is_hidden_has_no_influence_in_either_direction(kind: str) -> None:
    model = _model(kind)
    vectors = model.embed(torch.arange(5, 14)[None].repeat(2, 1)).clone()
    visible = torch.ones(2, 9, 9, dtype=torch.bool)
    visible[:, :, 6] = False
    places = torch.arange(9).repeat(2, 1)
    seen, _ = model.run(vectors, visible, places)
    vectors[:, 6] *= -1
    unseen, _ = model.run(vectors, visible, places)
    vectors[:, 8] *= -1
    changed, _ = model.run(vectors, visible, places)
    rest = [place for place in range(9) if place != 6]
    assert torch.equal(seen[:, rest], unseen[:, rest])
    assert not torch.allclose(seen[:, 0], changed[:, 0], atol=1e-4)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_reach_the_vectors_and_no_parameter(checkpointing: bool) -> None:
    model = _model("bert", checkpointing)
    vectors = model.embed(torch.arange(5, 14)[None]).detach().requires_grad_()
    hidden, _ = model.run(vectors, torch.ones(1, 9, 9, dtype=torch.bool), torch.arange(9)[None])
    hidden[:, 0].square().sum().backward()  # type: ignore[no-untyped-call]
    assert vectors.grad is not None
    assert bool((vectors.grad.abs().sum(-1) > 0).all())
    assert all(one.grad is None for one in model.parameters())
    model.check()


def test_recomputing_layers_gives_the_same_gradients() -> None:
    found = []
    for checkpointing in (False, True):
        model = _model("bert", checkpointing)
        vectors = model.embed(torch.arange(5, 14)[None]).detach().requires_grad_()
        hidden, _ = model.run(vectors, torch.ones(1, 9, 9, dtype=torch.bool), torch.arange(9)[None])
        hidden.pow(3).sum().backward()  # type: ignore[no-untyped-call]
        assert vectors.grad is not None
        found.append(vectors.grad)
    assert torch.allclose(found[0], found[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", _ENCODERS)
def test_no_past_no_words_and_no_longer_prompt_than_the_context(kind: str) -> None:
    model = _model(kind)
    vectors, visible = model.embed(torch.tensor([[5, 6]])), torch.ones(1, 2, 2, dtype=torch.bool)
    places = torch.arange(2)[None]
    assert model.context == CONTEXT
    model.run(vectors, visible, places + CONTEXT - 2)
    with pytest.raises(ModelError, match="longer than the 256"):
        model.run(vectors, visible, places + CONTEXT - 1)
    with pytest.raises(ModelError, match="is an encoder: it cannot go on"):
        model.run(vectors, visible, places, keep=True)
    with pytest.raises(ModelError, match="writes no words"):
        model.logits(torch.zeros(1, model.width))
