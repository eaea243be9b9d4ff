"""What a causal model has read, kept so that it can go on from there any number of times."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Past:
    """The keys and values of P tokens in B rows, by layer: each (B, heads, P, width of a head). Never written to."""

    layers: tuple[tuple[Tensor, Tensor], ...]

    def __len__(self) -> int:
        """P."""
        return int(self.layers[0][0].shape[2])

    @property
    def rows(self) -> int:
        """B."""
        return int(self.layers[0][0].shape[0])

    @property
    def bytes(self) -> int:
        """Memory that it holds."""
        return sum(one.numel() * one.element_size() for pair in self.layers for one in pair)

    @staticmethod
    def joined(parts: Sequence[Past]) -> Past:
        """The rows of several pasts of equally many tokens as one."""
        layers = zip(*(part.layers for part in parts), strict=True)
        return Past(tuple((torch.cat([k for k, _ in layer]), torch.cat([v for _, v in layer])) for layer in layers))


def reading_cache(past: Past | None, *, keep: bool) -> Any:
    """A cache of the transformers library that goes on from a past and leaves it as it is.

    Unlike the library's own it may be run twice on the same tokens, as recomputing in the backward pass does.
    keep: remember what was read, for `what_was_read`; else None where there is no past either.
    """
    if past is None and not keep:
        return None
    library: Any = importlib.import_module("transformers.cache_utils")
    layer = _layer_class()
    if past is None:
        return library.Cache(layer_class_to_replicate=layer)
    return library.Cache(layers=[layer(keys, values, keep) for keys, values in past.layers])


def what_was_read(cache: Any) -> Past:
    """The past that a cache made with ``keep`` now holds."""
    return Past(tuple((layer.keys, layer.values) for layer in cache.layers))


@functools.cache
def _layer_class() -> Any:
    library: Any = importlib.import_module("transformers.cache_utils")

    class ReadingLayer(library.DynamicLayer):  # type: ignore[misc]
        """One layer of a past, and the new tokens behind it."""

        def __init__(self, keys: Tensor | None = None, values: Tensor | None = None, keep: bool = True) -> None:
            super().__init__()
            self._before = None if keys is None or values is None else (keys, values)
            self._keep = keep

        def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
            if self._before is not None:
                keys, values = self._before
                key_states = torch.cat([keys.to(key_states.dtype), key_states], dim=2)
                value_states = torch.cat([values.to(value_states.dtype), value_states], dim=2)
            if self._keep:
                self.keys, self.values, self.is_initialized = key_states, value_states, True
            return key_states, value_states

        def get_seq_length(self) -> int:
            return 0 if self._before is None else int(self._before[0].shape[2])

    return ReadingLayer
