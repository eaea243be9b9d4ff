"""Text as tokens. Text is data: nothing that stands in it acts as a special token."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from dynmm.errors import ModelError

#: A text with a word that few tokenizers know: one without a way to say so fails at it.
_UNUSUAL = "A title \u2603"


class Words:
    """A model's tokenizer, without truncation, padding and special tokens of its own accord."""

    def __init__(self, tokenizer: Any, rows: int) -> None:
        """tokenizer: of the transformers library, of its fast kind. rows: tokens that the model has a vector for.

        Raises ModelError for a tokenizer of another kind, or of another model.
        """
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                "the model's tokenizer has no fast form, in which alone text can be kept from becoming special "
                "tokens; save it with its tokenizer.json"
            )
        #: As the library has it, for what builds grammars over it.
        self.tokenizer = tokenizer
        self._rows = rows
        self._special = frozenset(int(one) for one in tokenizer.all_special_ids) - self._unknown()
        largest = max(self._plain.get_vocab().values(), default=-1)
        if not 0 <= largest < rows:
            raise ModelError(
                f"the tokenizer has {largest + 1} tokens and the model {rows}; they do not belong together"
            )
        self.read(_UNUSUAL)

    def _unknown(self) -> frozenset[int]:
        """What stands for letters that the model does not know: text may well become it, if it is nothing else."""
        unknown, own = self.tokenizer.unk_token_id, self.tokenizer
        if unknown is None or unknown in (own.bos_token_id, own.eos_token_id, own.pad_token_id):
            return frozenset()
        return frozenset({int(unknown)})

    @cached_property
    def _plain(self) -> Any:
        """The tokenizer without any added token, so that none is found in text."""
        from tokenizers import Tokenizer

        parts = json.loads(self.tokenizer.backend_tokenizer.to_str())
        parts |= {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
        return Tokenizer.from_str(json.dumps(parts))

    def read(self, text: str) -> list[int]:
        """The tokens of a text. A special token's name in it is split into letters or, at worst, left out.

        Raises ModelError where the tokenizer fails.
        """
        # Half a surrogate pair is no text, and the tokenizer refuses it.
        sound = text.encode("utf-8", "replace").decode()
        try:
            read = self._plain.encode(sound, add_special_tokens=False).ids
        except Exception as error:  # the library raises no other kind
            raise ModelError(f"the model's tokenizer cannot read text: {error}; put its tokenizer.json back") from error
        return [one for one in read if one not in self._special]

    @property
    def beginning(self) -> int | None:
        """The token that texts begin with, where there is one."""
        return self._first_of(self.tokenizer.bos_token_id, self.tokenizer.cls_token_id)

    @property
    def ending(self) -> int | None:
        """The token that texts end with, where there is one."""
        return self._first_of(self.tokenizer.eos_token_id, self.tokenizer.sep_token_id)

    def _first_of(self, *tokens: int | None) -> int | None:
        """A tokenizer may name special tokens of its family that the model has no vector for."""
        return next((int(one) for one in tokens if one is not None and one < self._rows), None)
