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
    def parts(self) -> tuple[Past, ...]:
        """Itself: see `Apart`."""
        return (self,)

    @property
    def bytes(self) -> int:
        """Memory that it holds."""
        return sum(one.numel() * one.element_size() for pair in self.layers for one in pair)


@dataclass(frozen=True, eq=False)
class Apart:
    """Several pasts of equally many tokens that lie apart in memory, read as the rows of one: nothing is copied here.

    Kept states of users are copied once for each reading, behind one another and before the new tokens.
    """

    parts: tuple[Past, ...]

    def __len__(self) -> int:
        """P."""
        return len(self.parts[0])

    @property
    def rows(self) -> int:
        """B."""
        return sum(one.rows for one in self.parts)


def reading_cache(past: Past | Apart | None, *, keep: bool) -> Any:
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
    layers = zip(*(one.layers for one in past.parts), strict=True)
    return library.Cache(layers=[layer([k for k, _ in rows], [v for _, v in rows], keep) for rows in layers])


def what_was_read(cache: Any) -> Past:
    """The past that a cache made with ``keep`` now holds."""
    return Past(tuple((layer.keys, layer.values) for layer in cache.layers))


@functools.cache
def _layer_class() -> Any:
    library: Any = importlib.import_module("transformers.cache_utils")

    class ReadingLayer(library.DynamicLayer):  # type: ignore[misc]
        """One layer of a past, and the new tokens behind it."""

        def __init__(self, keys: Sequence[Tensor] = (), values: Sequence[Tensor] = (), keep: bool = True) -> None:
            super().__init__()
            self._before = (keys, values)
            self._keep = keep

        def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
            keys, values = self._before
            if keys:
                key_states, value_states = _behind(keys, key_states), _behind(values, value_states)
            if self._keep:
                self.keys, self.values, self.is_initialized = key_states, value_states, True
            return key_states, value_states

        def get_seq_length(self) -> int:
            keys, _ = self._before
            return int(keys[0].shape[2]) if keys else 0

    return ReadingLayer


def _behind(parts: Sequence[Tensor], new: Tensor) -> Tensor:
    """(B, heads, P + N, W): the rows of all parts, each with its row of the new (B, heads, N, W) behind it."""
    if len(parts) == 1:
        return torch.cat([parts[0].to(new.dtype), new], dim=2)
    before = parts[0].shape[2]
    found = new.new_empty(*new.shape[:2], before + new.shape[2], new.shape[3])
    row = 0
    for part in parts:
        found[row : row + len(part), :, :before] = part
        row += len(part)
    found[:, :, before:] = new
    return found
