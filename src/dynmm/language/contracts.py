"""What the parts of this package need of one another. B rows, N tokens, T token width, V vocabulary, C candidates."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from dynmm.language.slates import Shelf, Slates


class FrozenModel(Protocol):
    """A language model whose parameters never change, read through vectors as well as through tokens."""

    @property
    def width(self) -> int:
        """T."""
        ...

    @property
    def context(self) -> int:
        """Most tokens that it reads at once."""
        ...

    @property
    def caches(self) -> bool:
        """Whether `run` can go on from a past: true of causal models, false of encoders."""
        ...

    @property
    def identity(self) -> str:
        """sha256 over every parameter, by name: what proves that it is frozen."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        ...

    @property
    def beginning(self) -> list[int]:
        """The token that the model's texts begin with, where it has one; else none. `tokens` leaves it to callers."""
        ...

    def tokens(self, text: str) -> list[int]:
        """Token ids of a text, without special tokens. Text is data: nothing in it becomes a special token."""
        ...

    def embed(self, tokens: Tensor) -> Tensor:
        """(..., N) int64 to (..., N, T), in the model's precision."""
        ...

    def run(
        self, embeddings: Tensor, visible: Tensor, places: Tensor, past: Any = None, *, keep: bool = False
    ) -> tuple[Tensor, Any]:
        """Read vectors. Gradients flow through to them, never into the model.

        embeddings: (B, N, T). visible: (B, N, P + N) bool, true where a row's token may look, past first.
        places: (B, N) int64 positions. past: what an earlier call with ``keep`` returned, of P tokens, for the same B
        rows; it is left as it is. keep: return the past with these tokens added, else None. Returns the last hidden
        states (B, N, T) float32, and the past. Raises ModelError where memory runs out.
        """
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., T) last hidden states to (..., V) float32. Raises ModelError for a model without a head."""
        ...


class Reranker(Protocol):
    """A module that orders a few candidates. In training mode it may drop; else the same inputs give the same bits."""

    def __call__(self, slates: Slates, shelf: Shelf) -> Tensor:
        """(B, C) float32 raw scores; what stands at padding is not read."""
        ...
