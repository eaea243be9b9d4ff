"""A pretrained model of the transformers library, loaded whole or refused, and frozen."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dynmm.catalogue.content import Content
from dynmm.encoders.encoder import Encoder
from dynmm.errors import ConfigError
from dynmm.transformers_library import MEND, errors_named, quiet, transformers


def read_config(folder: Path, kinds: Collection[str], wanted: str, extra: str) -> Any:
    """The configuration of a model of one of these kinds. wanted: a word for them. Raises ConfigError.

    Asked first, since the library loads the folder of another model with random weights and a warning.
    """
    library = transformers(extra)
    with refused(f"{folder} is not a model that transformers reads"):
        config = library.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if config.model_type not in kinds:
        raise ConfigError(f"{folder} holds a model of the kind {config.model_type!r}, not {wanted}")
    return config


def load_frozen(model_class: Any, folder: Path, device: torch.device, may_lack: Collection[str] = ()) -> Any:
    """The model of a class with the folder's weights, in float32, without gradients, in evaluation mode.

    may_lack: names of weights that nothing here uses. Raises ConfigError where others are missing.
    """
    with refused(f"{folder} has no weights for {model_class.__name__}"), quiet():
        model, report = model_class.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    missing = sorted(set(report["missing_keys"]) - set(may_lack))
    if missing:
        raise ConfigError(
            f"{folder} lacks {len(missing)} weights of {model_class.__name__}, among them {missing[0]}: it holds "
            "another model, or a part of one"
        )
    return model.float().to(device).eval().requires_grad_(False)


def read_part(part_class: Any, folder: Path, what: str) -> Any:
    """A processor or tokenizer of the folder. what: it is, in words. Raises ConfigError where there is none."""
    with refused(f"{folder} has no {what} beside the model"), quiet():
        return part_class.from_pretrained(folder, local_files_only=True)


def check_encoding(encoder: Encoder, content: Content, folder: Path) -> None:
    """Raise ConfigError where the encoder of a folder makes no finite vector of an ordinary content.

    Much of what is wrong with a model's files shows when it first computes, which would else be in the middle of a fit.
    """
    with refused(f"the model in {folder} opens and does not compute"):
        vectors = encoder.encode([content]).vectors
    if vectors.shape != (1, encoder.width) or not np.isfinite(vectors).all():
        raise ConfigError(
            f"the model in {folder} gives vectors of the shape {vectors.shape}, or not of finite numbers, where "
            f"{encoder.width} numbers were promised{MEND}"
        )


def refused(what: str) -> AbstractContextManager[None]:
    """Turn whatever the library raises within the block into a ConfigError that begins with `what`."""
    return errors_named(ConfigError, what, MEND, own=False)
