"""A model that reads otherwise than it must is refused when it is opened, not found out by its scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.language.tiny import tiny_folder

from dynmm.errors import ModelError
from dynmm.language.causal import CausalModel
from dynmm.language.loading import open_model
from dynmm.language.probing import check_reading


@pytest.fixture
def model(tmp_path: Path) -> CausalModel:
    opened = open_model(tiny_folder("llama", tmp_path), precision="float32")
    assert isinstance(opened, CausalModel)
    return opened


def _changed(monkeypatch: pytest.MonkeyPatch, model: CausalModel, **values: Any) -> None:
    """The model now reads with some arguments replaced."""
    forward = model.library.base_model.forward
    monkeypatch.setattr(model.library.base_model, "forward", lambda **named: forward(**(named | values)))


def test_a_sound_model_passes(model: CausalModel) -> None:
    check_reading(model)
    assert model.plain_head


def test_one_that_does_not_heed_the_mask_is_refused(model: CausalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = torch.zeros(1, 1, 4, 4)
    _changed(monkeypatch, model, attention_mask=everything)
    with pytest.raises(ModelError, match="LlamaForCausalLM lets tokens look at what is hidden from them; use a model"):
        check_reading(model)


def test_one_that_forgets_its_past_is_refused(model: CausalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = model.library.base_model.forward

    def forgetful(**named: Any) -> Any:
        if named["past_key_values"] is not None and named["attention_mask"].shape[-1] > 2:
            named |= {"past_key_values": None, "attention_mask": named["attention_mask"][..., 2:]}
        return forward(**named)

    monkeypatch.setattr(model.library.base_model, "forward", forgetful)
    with pytest.raises(ModelError, match="does not go on from what it has read"):
        check_reading(model)


def test_one_that_fails_is_refused_by_name(model: CausalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    _changed(monkeypatch, model, attention_mask=torch.zeros(7))
    with pytest.raises(ModelError, match="LlamaForCausalLM cannot be read through vectors"):
        check_reading(model)


def test_one_whose_head_is_no_plain_product_ranks_but_does_not_write(
    model: CausalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = model.library.forward

    def capped(**named: Any) -> Any:
        read = whole(**named)
        read.logits = torch.tanh(read.logits)
        return read

    monkeypatch.setattr(model.library, "forward", capped)
    check_reading(model)
    assert not model.plain_head
    with pytest.raises(ModelError, match="can rank but not write"):
        model.logits(torch.zeros(1, model.width))
