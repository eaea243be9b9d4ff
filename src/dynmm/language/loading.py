"""Opens a language model from a folder or the hub, whole and frozen, or refuses it. No code of a model's own runs."""

from __future__ import annotations

import importlib
import inspect
import logging
import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from dynmm import transformers_library
from dynmm.errors import ModelError
from dynmm.language.causal import CausalModel
from dynmm.language.encoder import EncoderModel
from dynmm.language.folders import model_folder, read_json
from dynmm.language.freezing import parameter_sha256
from dynmm.language.probing import check_reading
from dynmm.language.words import Words
from dynmm.memory import memory_named
from dynmm.precision import Precision, product_precision
from dynmm.transformers_library import MEND, quiet

logger = logging.getLogger(__name__)

#: Of a name: which of several like parts it belongs to.
_NUMBER = re.compile(r"\.\d+\.")
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
    library = transformers_library.transformers("llm")
    folder = model_folder(name_or_path)
    config = _config(library, folder)
    causal = _is_causal(folder, config)
    target = torch.device(device)
    with memory_named(f"the model {name_or_path}"):
        weights = _weights(library.AutoModelForCausalLM if causal else library.AutoModel, folder, config)
        identity = _checked_identity(weights, folder, expected)
        weights = weights.to(device=target, dtype=product_precision(precision, target))
    words = _words(library, folder, weights)
    with errors_named(str(folder)):
        return frozen_model(weights, words, identity=identity, causal=causal, checkpointing=checkpointing)


def causal_files(name_or_path: str | Path) -> bool:
    """Whether what `open_model` would open is a causal model, else an encoder; by its files, without its weights.

    Raises as `open_model` does of what is missing or broken, as far as that can be seen so.
    """
    library = transformers_library.transformers("llm")
    folder = model_folder(name_or_path)
    return _is_causal(folder, _config(library, folder))


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


def errors_named(what: str, mend: str = "") -> AbstractContextManager[None]:
    """Turn whatever is raised within the block into a ModelError between these; out of memory stays what it is."""
    return transformers_library.errors_named(ModelError, what, mend, own=True)


def _config(library: Any, folder: Path) -> Any:
    what = f"{folder / 'config.json'} is of no model that transformers reads"
    if "auto_map" in read_json(folder / "config.json"):
        what = (
            f"{folder} holds a model that needs code of its own, which is never run; use one whose architecture the "
            "transformers library has"
        )
    with errors_named(what, MEND), quiet():
        return library.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


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
    with errors_named(f"{folder} has no weights for its architecture and the sizes in its config.json", MEND), quiet():
        model, report = model_class.from_pretrained(
            folder,
            config=config,
            dtype="auto",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    # A pooler sums up a sentence; what is read here are the tokens' own states.
    missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise ModelError(
            f"{folder} lacks {len(missing)} weights of {type(model).__name__}, among them {missing[0]}: it holds "
            "another model, or a part of one"
        )
    if beyond := _beyond(model, report["unexpected_keys"]):
        raise ModelError(
            f"{folder / 'config.json'} has fewer layers than the weights, among them {beyond[0]}: it holds a part of "
            "another model; copy the folder again"
        )
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise ModelError(f"{folder}: the weight {name} holds values that are no numbers; copy the model again")
    return model


def _beyond(model: Any, unexpected: Iterable[str]) -> list[str]:
    """Of weights that the model has no place for, those of more parts like its own; heads of another use are none."""
    own = {_NUMBER.sub(".", name) for name, _ in model.named_parameters() if _NUMBER.search(name)}
    found = ((name, _NUMBER.sub(".", name)) for name in sorted(unexpected))
    # The weights may be those of the model within a larger one, whose name stands before theirs.
    return [name for name, part in found if part in own or part.partition(".")[2] in own]


def _checked_identity(weights: Any, folder: Path, expected: str | None) -> str:
    identity = parameter_sha256(weights)
    if expected is not None and identity != expected:
        raise ModelError(
            f"{folder} does not hold the model that was trained with: the sha256 of its parameters is {identity}, not "
            f"{expected}; put the model back, or fit again"
        )
    return identity


def _words(library: Any, folder: Path, weights: Any) -> Words:
    with errors_named(f"{folder} has no tokenizer that can be read beside the model", MEND), quiet():
        tokenizer = library.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with errors_named(str(folder)):
        return Words(tokenizer, int(weights.get_input_embeddings().weight.shape[0]))


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
