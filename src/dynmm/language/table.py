"""Every re-ranker that a configuration can name. Adding one is a file, and one line here."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dynmm.errors import ConfigError
from dynmm.randomness import derive_seed


@dataclass(frozen=True)
class Entry:
    """A line of the table. path: ``module:Class``. about: for a person to read. relative: whether its
    features compare the candidates of a slate with one another, see `CandidateFeatures`. revision: raised when a
    change to its code changes what the same questions teach it."""

    path: str
    about: str
    relative: bool
    revision: int = 0


_HERE = "dynmm.language"

TABLE: dict[str, Entry] = {
    "language": Entry(f"{_HERE}.ranker:LanguageRanker", "a frozen language model, by soft prompt", False, 2),
    "mlp": Entry(f"{_HERE}.mlp:Perceptron", "two layers over user, item, product and facts", True, 2),
    "transformer": Entry(f"{_HERE}.transformer:SmallTransformer", "a small one, over history and candidates", True),
}


def entry_of(kind: str) -> Entry:
    """The line of a kind. Raises ConfigError that lists what there is."""
    if kind not in TABLE:
        raise ConfigError(f"there is no re-ranker {kind!r}; there are: {', '.join(TABLE)}")
    return TABLE[kind]


def make(kind: str, seed: int, *arguments: Any, **named: Any) -> nn.Module:
    """A new re-ranker of a kind, its first weights drawn from the seed alone. Raises ConfigError.

    arguments, named: of its class.
    """
    module, _, name = entry_of(kind).path.partition(":")
    made = getattr(importlib.import_module(module), name)
    with torch.random.fork_rng([]):
        torch.manual_seed(derive_seed(seed, "rerank weights", kind))
        model: nn.Module = made(*arguments, **named)
    return model
