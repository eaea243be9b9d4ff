"""The control for what a model has learnt: the same architecture and the same tokenizer with random weights."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch

from dynmm.language.causal import CausalModel
from dynmm.language.encoder import EncoderModel
from dynmm.language.freezing import parameter_sha256
from dynmm.language.loading import errors_named, frozen_model, open_model
from dynmm.memory import memory_named
from dynmm.randomness import derive_seed
from dynmm.transformers_library import quiet


def random_twin(
    source: str | Path | CausalModel | EncoderModel, seed: int, *, checkpointing: bool = False
) -> CausalModel | EncoderModel:
    """A model like another one, its weights drawn anew as its architecture draws them before training; frozen too.

    source: an opened model, whose device and precision it shares, or what `open_model` opens. The same seed gives the
    same weights. Raises ModelError.
    """
    model = source if isinstance(source, CausalModel | EncoderModel) else open_model(source)
    library = importlib.import_module("transformers")
    causal = isinstance(model, CausalModel)
    model_class = library.AutoModelForCausalLM if causal else library.AutoModel
    name = type(model.library).__name__
    with memory_named(f"a random {name}"), torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(derive_seed(seed, "language", "twin"))
        with errors_named(f"{name} cannot be made without its weights"):
            drawn = model_class.from_config(model.library.config, dtype=torch.float32, trust_remote_code=False)
        identity = parameter_sha256(drawn)
        drawn = drawn.to(device=model.device, dtype=model.precision)
    return frozen_model(drawn, model.words, identity=identity, causal=causal, checkpointing=checkpointing)
