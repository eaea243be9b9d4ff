"""A model that reads otherwise than it must is refused when it is opened, not found out by its scores."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.language.tiny import CONTEXT, WIDTH, save_tokenizer, tiny_folder

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


def _saved(name: str, folder: Path, **sizes: Any) -> Path:
    """A tiny model of any architecture. name: without what stands behind it in the names of its classes."""
    transformers: Any = importlib.import_module("transformers")
    vocabulary = len(save_tokenizer("roberta", folder))
    config = getattr(transformers, f"{name}Config")(vocab_size=vocabulary, hidden_size=WIDTH, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = getattr(transformers, f"{name}Model" if name == "MPNet" else f"{name}ForCausalLM")(config)
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.data.normal_(0, 0.2)
    made.save_pretrained(folder)
    return folder


def test_one_that_counts_how_many_tokens_lie_between_is_refused(tmp_path: Path) -> None:
    """MPNet has a bias by the tokens between two, whatever their places: candidates would hang on their order."""
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 258}
    folder = _saved("MPNet", tmp_path, **sizes)
    with pytest.raises(ModelError, match="MPNetModel reads a candidate otherwise where others stand before it"):
        open_model(folder, precision="float32")


@pytest.mark.parametrize("window", [4, 40])
def test_one_that_looks_back_so_many_tokens_is_refused(tmp_path: Path, window: int) -> None:
    """GPT-Neo looks through a window of its own, whatever the mask says: the last candidates would see no user."""
    kinds: dict[str, Any] = {"attention_types": [[["global", "local"], 1]], "num_layers": 2, "num_heads": 4}
    folder = _saved("GPTNeo", tmp_path, window_size=window, max_position_embeddings=CONTEXT, **kinds)
    with pytest.raises(ModelError, match="GPTNeoForCausalLM reads a candidate otherwise where others stand before it"):
        open_model(folder, precision="float32")


def test_a_window_that_hides_nothing_is_no_reason(tmp_path: Path) -> None:
    """Mistral heeds the mask that it is given; and no prompt reaches beyond a window as long as the context."""
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64}
    heeds = open_model(_saved("Mistral", tmp_path / "mistral", sliding_window=40, **sizes), precision="float32")
    assert type(heeds.library).__name__ == "MistralForCausalLM"
    kinds: dict[str, Any] = {"attention_types": [[["global", "local"], 1]], "num_layers": 2, "num_heads": 4}
    whole = _saved("GPTNeo", tmp_path / "neo", window_size=CONTEXT, max_position_embeddings=CONTEXT, **kinds)
    assert type(open_model(whole, precision="float32").library).__name__ == "GPTNeoForCausalLM"
