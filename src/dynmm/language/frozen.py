"""What causal models and encoders share: frozen parameters, vectors of tokens, and checks of what is to be read."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dynmm.errors import ModelError
from dynmm.language.freezing import check_frozen, freeze, parameter_sha256
from dynmm.language.recomputing import recompute_layers
from dynmm.language.words import Words


class FrozenTransformer(nn.Module):
    """A model of the transformers library that is read and never trained. See `contracts.FrozenModel`."""

    caches = False

    def __init__(
        self, library: Any, words: Words, *, identity: str, context: int, first: int = 0, checkpointing: bool = False
    ) -> None:
        """library: the library's model, on its device and in its precision; it becomes frozen.

        identity: sha256 of the parameters as they were saved. context: most positions. first: the position that a
        first token has in the model's own table. checkpointing: in training, states within a layer are computed
        again in the backward pass instead of kept: less memory, a third more time.
        """
        super().__init__()
        freeze(library)
        self.library = library
        self.words = words
        self._identity, self._context, self._first = identity, context, first
        self.training = False
        #: Differs from the identity where the precision is not the saved one.
        self._sha256 = parameter_sha256(library)
        if checkpointing:
            recompute_layers(library)

    @property
    def width(self) -> int:
        """T."""
        return int(self.library.get_input_embeddings().weight.shape[1])

    @property
    def context(self) -> int:
        """Positions that the model has; tokens in different branches may share one."""
        return self._context

    @property
    def identity(self) -> str:
        """sha256 over the parameters as saved, whatever the precision here; see `freezing.parameter_sha256`."""
        return self._identity

    @property
    def precision(self) -> torch.dtype:
        """In which the model computes."""
        dtype: torch.dtype = self.library.get_input_embeddings().weight.dtype
        return dtype

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        device: torch.device = self.library.get_input_embeddings().weight.device
        return device

    def train(self, mode: bool = True) -> FrozenTransformer:
        """Never: dropout stays off, whatever the module that holds this one does."""
        return super().train(False)

    def check(self) -> None:
        """Raise ModelError where a parameter has changed since the model was opened, or could."""
        check_frozen(self.library, self._sha256)

    @property
    def beginning(self) -> list[int]:
        """As `contracts.FrozenModel`."""
        return [] if self.words.beginning is None else [self.words.beginning]

    def tokens(self, text: str) -> list[int]:
        """As `contracts.FrozenModel`: see `words.Words.read`."""
        return self.words.read(text)

    def embed(self, tokens: Tensor) -> Tensor:
        """(..., N) int64 to (..., N, T), in the model's precision."""
        vectors: Tensor = self.library.get_input_embeddings()(tokens)
        return vectors

    def checked_places(self, embeddings: Tensor, visible: Tensor, places: Tensor, past: int = 0) -> Tensor:
        """The positions as the model counts them. past: P. Raises ModelError for shapes or places that do not fit."""
        rows, tokens, width = embeddings.shape
        if width != self.width or visible.shape != (rows, tokens, past + tokens) or places.shape != (rows, tokens):
            raise ModelError(
                f"vectors {tuple(embeddings.shape)}, visible {tuple(visible.shape)} and places {tuple(places.shape)} "
                f"do not fit a model of width {self.width} that goes on from {past} tokens"
            )
        if tokens and (furthest := int(places.max())) >= self.context:
            raise ModelError(
                f"a prompt of {furthest + 1} tokens is longer than the {self.context} that the model reads at once; "
                "use a shorter preset or a model with a longer context"
            )
        return places + self._first

    def attention_mask(self, visible: Tensor) -> Tensor:
        """(B, N, P + N) bool to what is added to attention, (B, 1, N, P + N): 0 where a token may look.

        Elsewhere the least finite number: a row that sees nothing stays finite, and nothing unseen has a weight.
        """
        mask = torch.zeros(visible.shape, dtype=self.precision, device=visible.device)
        return mask.masked_fill_(~visible, torch.finfo(self.precision).min)[:, None]
