"""A frozen causal language model read through vectors: any `AutoModelForCausalLM` of the transformers library."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from dynmm.errors import ModelError
from dynmm.language.frozen import FrozenTransformer
from dynmm.language.past import Apart, Past, reading_cache, what_was_read
from dynmm.memory import memory_named


class CausalModel(FrozenTransformer):
    """A decoder: each token may look at what stands before it, and reading can go on from a past."""

    caches = True
    #: Whether the model's words are a plain product with its last states; `loading` finds out.
    plain_head = True

    def run(
        self,
        embeddings: Tensor,
        visible: Tensor,
        places: Tensor,
        past: Past | Apart | None = None,
        *,
        keep: bool = False,
    ) -> tuple[Tensor, Past | None]:
        """As `contracts.FrozenModel.run`. A past of a single row serves any number of rows.

        Raises ModelError for a prompt longer than the context, OutOfMemory, which is one, for a batch too large.
        """
        if past is not None and past.rows != len(embeddings):
            past = _shared(past, len(embeddings))
        before = 0 if past is None else len(past)
        positions = self.checked_places(embeddings, visible, places, before)
        cache = reading_cache(past, keep=keep)
        with memory_named(f"a batch of {len(embeddings)} prompts of {before + embeddings.shape[1]} tokens"):
            read: Any = self.library.base_model(
                inputs_embeds=embeddings.to(self.precision),
                attention_mask=self.attention_mask(visible),
                position_ids=positions,
                past_key_values=cache,
                use_cache=cache is not None,
            )
        return read.last_hidden_state.float(), what_was_read(cache) if keep else None

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., T) last hidden states to (..., V) float32. Raises ModelError where the head is no plain product."""
        head = self.library.get_output_embeddings()
        if head is None or not self.plain_head:
            raise ModelError(
                f"{type(self.library).__name__} does not make words from its last states by a plain product; it can "
                "rank but not write: choose another model for writing"
            )
        with memory_named(f"the words of {hidden.shape[:-1].numel()} tokens"):
            words: Tensor = head(hidden.to(self.precision)).float()
        return words


def _shared(past: Past | Apart, rows: int) -> Past:
    if past.rows != 1:
        raise ModelError(f"a past of {past.rows} rows cannot be gone on from in {rows}")
    layers = ((keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1)) for keys, values in past.parts[0].layers)
    return Past(tuple(layers))
