"""Language models of published shapes, whose weights are drawn: speed does not depend on them."""

from __future__ import annotations

import importlib
from typing import Any

#: OPT and LLaMA as published.
SHAPES: dict[str, dict[str, Any]] = {
    "opt-125m": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "ffn_dim": 3_072},
    "opt-1.3b": {"hidden_size": 2_048, "num_hidden_layers": 24, "num_attention_heads": 32, "ffn_dim": 8_192},
    "llama-7b": {"hidden_size": 4_096, "num_hidden_layers": 32, "num_attention_heads": 32, "intermediate_size": 11_008},
}


def published(name: str, **changes: Any) -> Any:
    """The transformers configuration of a name in `SHAPES`. changes: keys that replace the published ones."""
    transformers: Any = importlib.import_module("transformers")

    shape = {"max_position_embeddings": 2_048} | SHAPES[name]
    if name.startswith("opt"):
        own = {"vocab_size": 50_272, "word_embed_proj_dim": shape["hidden_size"]}
        return transformers.OPTConfig(**(shape | own | changes))
    return transformers.LlamaConfig(**(shape | {"vocab_size": 32_000} | changes))
