"""Folders of language models that are broken in one file: each is refused by name, and none ends in a traceback."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.language.tiny import tiny_folder

from dynmm.errors import ModelError
from dynmm.language.loading import causal_files, open_model
from dynmm.memory import OutOfMemory

WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"
KINDS = ("llama", "opt", "qwen2", "gpt2", "bert")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: tiny_folder(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


def _refusal(saved: dict[str, Path], to: Path, kind: str, spoil: Callable[[Path], object]) -> str:
    """What is said of a folder with one thing spoilt, which it names."""
    folder = to / "model"
    shutil.copytree(saved[kind], folder)
    spoil(folder)
    with pytest.raises(ModelError) as refused:
        open_model(folder)
    assert str(folder) in str(refused.value)
    return str(refused.value)


def _settings(**values: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = folder / CONFIG
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0, -1, 3, 2.5, "many", None, [4]], ids=repr)
@pytest.mark.parametrize("size", ["hidden", "heads", "layers"])
def test_sizes_that_mean_nothing(saved: dict[str, Path], tmp_path: Path, kind: str, size: str, value: Any) -> None:
    short = {"hidden": "n_embd", "heads": "n_head", "layers": "n_layer"}
    long = {"hidden": "hidden_size", "heads": "num_attention_heads", "layers": "num_hidden_layers"}
    name = (short if kind == "gpt2" else long)[size]
    assert re.search("config.json|weights", _refusal(saved, tmp_path, kind, _settings(**{name: value})))


CONFIGURATIONS: list[tuple[dict[str, Any], str]] = [
    ({"num_hidden_layers": 10**9}, r"config\.json has num_hidden_layers 1000000000, and the weights are 21 tensors"),
    ({"num_hidden_layers": 1}, r"config\.json has fewer layers than the weights, among them model\.layers\.1\."),
    ({"architectures": 7}, r"config\.json has model_type 'llama' and architectures 7"),
    ({"architectures": [None]}, r"config\.json has model_type 'llama' and architectures \[None\]"),
    ({"model_type": ["llama"]}, r"config\.json has model_type \['llama'\]"),
    ({"dtype": ["float32"]}, "is of no model that transformers reads.*copy the folder again"),
    ({"vocab_size": 0}, r"config\.json has vocab_size 0"),
    ({"vocab_size": 10}, r"no weights for its architecture and the sizes in its config\.json"),
    ({"num_key_value_heads": 0}, r"no weights for its architecture and the sizes in its config\.json"),
    ({"head_dim": 0}, r"no weights for its architecture and the sizes in its config\.json"),
    ({"pad_token_id": 10**6}, r"no weights for its architecture and the sizes in its config\.json"),
    ({"max_position_embeddings": 3}, "longer than the 3 that the model reads at once"),
    ({"max_position_embeddings": -1}, "names no longest prompt"),
    ({"_attn_implementation": "flex_attention"}, r"config\.json asks for _attn_implementation 'flex_attention'"),
    ({"attn_implementation": 7}, r"config\.json asks for attn_implementation 7, .* take the line out"),
]


@pytest.mark.parametrize(("change", "said"), CONFIGURATIONS, ids=[str(one) for one, _ in CONFIGURATIONS])
def test_configurations_that_cannot_be(
    saved: dict[str, Path], tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    assert re.search(said, _refusal(saved, tmp_path, "llama", _settings(**change)))


def test_layers_of_a_model_within_a_larger_one_are_counted(tmp_path: Path) -> None:
    transformers: Any = pytest.importorskip("transformers")
    folder = tiny_folder("bert", tmp_path / "model")
    config = transformers.AutoConfig.from_pretrained(folder)
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    assert open_model(folder).context, "the words of another use are left out"
    _settings(num_hidden_layers=1)(folder)
    with pytest.raises(ModelError, match=r"fewer layers than the weights, among them bert\.encoder\.layer\.1\."):
        open_model(folder)


def test_a_configuration_without_an_end_of_brackets(saved: dict[str, Path], tmp_path: Path) -> None:
    deep = '{"model_type": "llama", "a": ' + "[" * 200_000
    said = _refusal(saved, tmp_path, "llama", lambda folder: (folder / CONFIG).write_text(deep))
    assert re.search(r"config\.json cannot be read", said)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"added_tokens": "\xff'])
def test_files_of_the_tokenizer_are_named(saved: dict[str, Path], tmp_path: Path, name: str, content: str) -> None:
    assert re.search(
        name.replace(".", r"\."), _refusal(saved, tmp_path, "llama", lambda folder: (folder / name).write_text(content))
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", [["tokenizer.json"], ["tokenizer.json", "tokenizer_config.json"]], ids=["one", "two"])
def test_a_tokenizer_is_not_made_up(saved: dict[str, Path], tmp_path: Path, kind: str, names: list[str]) -> None:
    """The library has an empty one ready for some architectures, which reads every title as nothing."""

    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    assert re.search(
        r"has no tokenizer beside the model: tokenizer\.json is missing", _refusal(saved, tmp_path, kind, remove)
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": {"type": "Silly"}}, "has no tokenizer that can be read"),
        ({"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}, "has no tokenizer that can be read"),
        ({"pre_tokenizer": {"type": "Silly"}}, "has no tokenizer that can be read"),
        ({"post_processor": {"type": "Silly"}}, "has no tokenizer that can be read"),
        ({"added_tokens": 7}, "has no tokenizer that can be read"),
        ({"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "none"}}, "tokenizer cannot read text"),
    ],
    ids=str,
)
def test_a_tokenizer_that_means_nothing(
    saved: dict[str, Path], tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    def spoil(folder: Path) -> None:
        path = folder / "tokenizer.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))

    assert re.search(said, _refusal(saved, tmp_path, "llama", spoil))


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_without_special_tokens_reads(saved: dict[str, Path], tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "plain"
    shutil.copytree(saved[kind], folder)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"added_tokens": []}))
    assert open_model(folder).tokens("a vampire, a robot")


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32, torch.bool, torch.complex64], ids=str)
def test_whole_numbers_are_no_weights(saved: dict[str, Path], tmp_path: Path, dtype: torch.dtype) -> None:
    """They were taken for what they count, without the scales that stand beside them."""

    def spoil(folder: Path) -> None:
        weights = {name: one.to(dtype) for name, one in load_file(folder / WEIGHTS).items()}
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})

    assert re.search(r"model\.safetensors holds .* as .*quantized or broken", _refusal(saved, tmp_path, "llama", spoil))


def test_a_quantized_model_is_told_before_anything_is_trained(saved: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "quantized"
    shutil.copytree(saved["llama"], folder)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quantization_config": {"quant_method": "gptq"}}))
    with pytest.raises(ModelError, match=r"has a quantization_config: .* take the one that it was quantized from"):
        causal_files(folder)


@pytest.mark.parametrize("placed", [[7], {"a": 7}, {"a": None}, {"a": ["model.safetensors"]}, {}], ids=str)
def test_an_index_that_places_nothing(saved: dict[str, Path], tmp_path: Path, placed: Any) -> None:
    def spoil(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        (folder / INDEX).write_text(json.dumps({"weight_map": placed}))

    assert re.search(r"index\.json has no weight_map; copy it again", _refusal(saved, tmp_path, "llama", spoil))


def test_beside_an_index_the_file_that_is_read_is_the_one_that_is_checked(
    saved: dict[str, Path], tmp_path: Path
) -> None:
    def spoil(folder: Path) -> None:
        shutil.copy(folder / WEIGHTS, folder / "shard.safetensors")
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": {"a": "shard.safetensors"}}))
        (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:1_000])

    assert re.search(r"model\.safetensors is cut off or no safetensors file", _refusal(saved, tmp_path, "llama", spoil))


def test_a_file_in_the_place_of_a_folder(
    saved: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a name of one slash it was looked for on the hub."""
    monkeypatch.chdir(saved["llama"].parent)
    for name in (saved["llama"] / WEIGHTS, Path(saved["llama"].name) / WEIGHTS):
        with pytest.raises(ModelError, match="is a file; give the folder that it lies in"):
            open_model(name)


def test_out_of_memory_while_weights_are_read_is_told_as_that(
    saved: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    transformers: Any = pytest.importorskip("transformers")

    def full(*args: Any, **named: Any) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", full)
    with pytest.raises(OutOfMemory, match="does not fit into memory"):
        open_model(saved["llama"])
