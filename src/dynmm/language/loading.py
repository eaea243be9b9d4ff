"""Opens a language model from a folder or the hub, whole and frozen, or refuses it. No code of a model's own runs."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from dynmm.errors import MissingExtraError, ModelError
from dynmm.language.causal import CausalModel
from dynmm.language.encoder import EncoderModel
from dynmm.language.folders import first_line, model_folder, read_json
from dynmm.language.freezing import parameter_sha256
from dynmm.language.memory import memory_named
from dynmm.language.probing import check_reading
from dynmm.language.words import Words
from dynmm.precision import Precision, product_precision

logger = logging.getLogger(__name__)

#: What the library raises where a file is missing, broken or of another model.
READING_ERRORS = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, ImportError, SafetensorError)
_CONTEXTS = ("max_position_embeddings", "n_positions", "max_sequence_length", "n_ctx", "seq_length")
_NEEDED = ("inputs_embeds", "attention_mask", "position_ids")


def open_model(
    name_or_path: str | Path,
    *,
    device: str = "cpu",
    precision: Precision = "auto",
    expected: str | None = None,
    checkpointing: bool = False,
) -> CausalModel | EncoderModel:
    """A frozen model: `minilm`, a folder, or a name on the hub, of a causal model or an encoder.

    precision: of the model; weights saved in another are converted, so that one in half precision runs on a processor.
    expected: the identity that it must have, as `FrozenModel.identity`. checkpointing: see `FrozenTransformer`.
    Raises ModelError for a model that is missing, broken, other than expected, needs code of its own, cannot be read
    through vectors, or does not fit into memory; MissingExtraError without the transformers library.
    """
    library = _transformers()
    folder = model_folder(name_or_path)
    config = _config(library, folder)
    causal = _is_causal(folder, config)
    target = torch.device(device)
    with memory_named(f"the model {name_or_path}"):
        weights = _weights(library.AutoModelForCausalLM if causal else library.AutoModel, folder, config)
        identity = _checked_identity(weights, folder, expected)
        weights = weights.to(device=target, dtype=product_precision(precision, target))
    words = _words(library, folder, weights)
    return frozen_model(weights, words, identity=identity, causal=causal, checkpointing=checkpointing)


def frozen_model(
    weights: Any, words: Words, *, identity: str, causal: bool, checkpointing: bool = False
) -> CausalModel | EncoderModel:
    """A model of the transformers library as a frozen one, after a look at how it reads. Raises ModelError."""
    kind = CausalModel if causal else EncoderModel
    reader = weights.base_model if causal else weights
    named = inspect.signature(reader.forward).parameters
    if lacking := [one for one in (*_NEEDED, *(["past_key_values"] if causal else [])) if one not in named]:
        raise ModelError(f"{type(weights).__name__} cannot be read through vectors: it takes no {lacking[0]}")
    first = _first_place(weights)
    context = _context(weights.config) - first
    model = kind(weights, words, identity=identity, context=context, first=first, checkpointing=checkpointing)
    check_reading(model)
    return model


def _transformers() -> Any:
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise MissingExtraError("language models need the library transformers: pip install 'dynmm[llm]'") from error


def _config(library: Any, folder: Path) -> Any:
    try:
        with quiet():
            return library.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except READING_ERRORS as error:
        if "auto_map" in read_json(folder / "config.json"):
            raise ModelError(
                f"{folder} holds a model that needs code of its own, which is never run; use one whose architecture "
                "the transformers library has"
            ) from error
        raise ModelError(f"{folder} is not a model that transformers reads: {first_line(error)}") from error


def _is_causal(folder: Path, config: Any) -> bool:
    """Whether it is a causal model; else it is an encoder. Raises ModelError for what is neither."""
    auto = importlib.import_module("transformers.models.auto.modeling_auto")
    kind, named = config.model_type, (config.architectures or [""])[0]
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(f"{folder} holds an encoder with a decoder ({kind}); use a causal model or an encoder")
    writes = named.endswith(("ForCausalLM", "LMHeadModel")) or getattr(config, "is_decoder", False)
    if kind in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES and not writes:
        return False
    if kind in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return True
    raise ModelError(f"{folder} holds a model of the kind {kind!r}, which is neither a causal one nor an encoder")


def _weights(model_class: Any, folder: Path, config: Any) -> Any:
    """The library's model in the precision that it was saved in. Raises ModelError where weights are missing."""
    try:
        with quiet():
            model, report = model_class.from_pretrained(
                folder,
                config=config,
                dtype="auto",
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except READING_ERRORS as error:
        raise ModelError(f"{folder} has no weights for its architecture: {first_line(error)}") from error
    # A pooler sums up a sentence; what is read here are the tokens' own states.
    missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise ModelError(
            f"{folder} lacks {len(missing)} weights of {type(model).__name__}, among them {missing[0]}: it holds "
            "another model, or a part of one"
        )
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise ModelError(f"{folder}: the weight {name} holds values that are no numbers; copy the model again")
    return model


def _checked_identity(weights: Any, folder: Path, expected: str | None) -> str:
    identity = parameter_sha256(weights)
    if expected is not None and identity != expected:
        raise ModelError(
            f"{folder} does not hold the model that was trained with: the sha256 of its parameters is {identity}, not "
            f"{expected}; put the model back, or fit again"
        )
    return identity


def _words(library: Any, folder: Path, weights: Any) -> Words:
    try:
        with quiet():
            tokenizer = library.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except READING_ERRORS as error:
        raise ModelError(f"{folder} has no tokenizer beside the model: {first_line(error)}") from error
    try:
        return Words(tokenizer, int(weights.get_input_embeddings().weight.shape[0]))
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from error


def _context(config: Any) -> int:
    for name in _CONTEXTS:
        if isinstance(longest := getattr(config, name, None), int) and longest > 0:
            return longest
    raise ModelError(f"the configuration of {config.model_type!r} names no longest prompt (max_position_embeddings)")


def _first_place(weights: Any) -> int:
    """RoBERTa and its kin count positions from behind the padding's, in their own table."""
    for name, part in weights.named_modules():
        if name.endswith("embeddings.position_embeddings") and getattr(part, "padding_idx", None) is not None:
            return int(part.padding_idx) + 1
    return 0


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
