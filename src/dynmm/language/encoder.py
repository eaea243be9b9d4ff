"""A frozen encoder read through vectors: BERT and its kin, such as all-MiniLM-L6-v2."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from dynmm.errors import ModelError
from dynmm.language.frozen import FrozenTransformer
from dynmm.memory import memory_named


class EncoderModel(FrozenTransformer):
    """Tokens look in both directions where `visible` lets them. It has no past to go on from and makes no words."""

    def run(
        self, embeddings: Tensor, visible: Tensor, places: Tensor, past: Any = None, *, keep: bool = False
    ) -> tuple[Tensor, None]:
        """As `contracts.FrozenModel.run`. Raises ModelError for a past or for keeping one, and as `CausalModel`."""
        if past is not None or keep:
            raise ModelError(f"{type(self.library).__name__} is an encoder: it cannot go on from what it has read")
        positions = self.checked_places(embeddings, visible, places)
        with memory_named(f"a batch of {len(embeddings)} prompts of {embeddings.shape[1]} tokens"):
            read: Any = self.library(
                inputs_embeds=embeddings.to(self.precision),
                attention_mask=self.attention_mask(visible),
                position_ids=positions,
            )
        return read.last_hidden_state.float(), None

    def logits(self, hidden: Tensor) -> Tensor:
        """Raises ModelError: an encoder writes no words."""
        raise ModelError(f"{type(self.library).__name__} is an encoder and writes no words; choose a causal model")
