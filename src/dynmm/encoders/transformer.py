"""A pretrained model of the transformers library, loaded whole or refused, and frozen."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from dynmm.errors import ConfigError, MissingExtraError

#: What the library raises where a file is missing, broken or of another model.
READING_ERRORS = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, SafetensorError)


def transformers(extra: str) -> Any:
    """The library. extra: of dynmm, which brings it. Raises MissingExtraError."""
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise MissingExtraError(
            f"pretrained models need the library transformers: pip install 'dynmm[{extra}]'"
        ) from error


def read_config(folder: Path, kinds: Collection[str], wanted: str, extra: str) -> Any:
    """The configuration of a model of one of these kinds. wanted: a word for them. Raises ConfigError.

    Asked first, since the library loads the folder of another model with random weights and a warning.
    """
    library = transformers(extra)
    try:
        config = library.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except READING_ERRORS as error:
        raise ConfigError(f"{folder} is not a model that transformers reads: {_reason(error)}") from error
    if config.model_type not in kinds:
        raise ConfigError(f"{folder} holds a model of the kind {config.model_type!r}, not {wanted}")
    return config


def load_frozen(model_class: Any, folder: Path, device: torch.device, may_lack: Collection[str] = ()) -> Any:
    """The model of a class with the folder's weights, in float32, without gradients, in evaluation mode.

    may_lack: names of weights that nothing here uses. Raises ConfigError where others are missing.
    """
    try:
        with quiet():
            model, report = model_class.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, output_loading_info=True
            )
    except READING_ERRORS as error:
        raise ConfigError(f"{folder} has no weights for {model_class.__name__}: {_reason(error)}") from error
    missing = sorted(set(report["missing_keys"]) - set(may_lack))
    if missing:
        raise ConfigError(
            f"{folder} lacks {len(missing)} weights of {model_class.__name__}, among them {missing[0]}: it holds "
            "another model, or a part of one"
        )
    return model.float().to(device).eval().requires_grad_(False)


def read_part(part_class: Any, folder: Path, what: str) -> Any:
    """A processor or tokenizer of the folder. what: it is, in words. Raises ConfigError where there is none."""
    try:
        with quiet():
            return part_class.from_pretrained(folder, local_files_only=True)
    except READING_ERRORS as error:
        raise ConfigError(f"{folder} has no {what} beside the model: {_reason(error)}") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's progress bars and reports off the screen, and leave its settings as they were."""
    logs = importlib.import_module("transformers.utils.logging")
    verbosity, bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity(logs.CRITICAL)
    logs.disable_progress_bar()
    try:
        yield
    finally:
        logs.set_verbosity(verbosity)
        if bars:
            logs.enable_progress_bar()


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
