"""The read-out by the model's own words."""

from __future__ import annotations

import pytest
import torch
from tests.language.tiny import WIDTH, tiny_model

from dynmm.errors import ModelError
from dynmm.language.answering import AnswerReadOut, answer_token


def test_it_reads_the_likelihood_of_the_answer_and_trains_scale_and_shift_alone() -> None:
    model = tiny_model("llama")
    readout = AnswerReadOut(model, answer_token(model))
    hidden = torch.randn(2, 3, WIDTH, generator=torch.Generator().manual_seed(0), requires_grad=True)
    scores = readout(hidden)
    expected = model.logits(hidden).log_softmax(-1)[..., readout.answer]
    torch.testing.assert_close(scores, expected)
    scores.sum().backward()
    assert hidden.grad is not None
    assert float(hidden.grad.abs().sum()) > 0
    assert sorted(readout.state_dict()) == ["score.bias", "score.weight"]
    assert sum(one.numel() for one in readout.parameters()) == 2


def test_a_word_without_a_token_is_refused() -> None:
    with pytest.raises(ModelError, match="no token for ''"):
        answer_token(tiny_model("llama"), "")
