"""The model's own tokens: texts and titles as its vectors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor

from dynmm.language.contracts import FrozenModel
from dynmm.language.prompt import Part
from dynmm.language.slates import NOBODY, Shelf

#: Titles whose tokens are remembered.
_REMEMBERED = 65_536

#: Letters of a title that are read for each of its tokens: an endless title costs no more than a long one.
_LETTERS = 32


class Texts:
    """Reads texts and titles, and remembers what it has read."""

    def __init__(self, model: FrozenModel) -> None:
        self._model = model
        self._vectors: dict[tuple[str, bool], Tensor] = {}
        self._titles: OrderedDict[tuple[str, int], list[int]] = OrderedDict()

    def count(self, text: str) -> int:
        """Tokens of a text."""
        return len(self._model.tokens(text))

    @property
    def begins(self) -> int:
        """Tokens that stand before everything, 0 or 1."""
        return len(self._model.beginning)

    @torch.no_grad()
    def vectors(self, text: str, device: torch.device, *, first: bool = False) -> Tensor:
        """(N, T) of one of the template's few texts. first: behind what the model's texts begin with."""
        known = self._vectors.get((text, first))
        if known is None or known.device != device:
            begun = self._model.beginning if first else []
            tokens = torch.tensor([*begun, *self._model.tokens(text)], dtype=torch.int64, device=device)
            known = self._vectors[text, first] = self._model.embed(tokens)
        return known

    @torch.no_grad()
    def norm(self, texts: Sequence[str], device: torch.device) -> float:
        """Mean norm of the vectors of the tokens of these texts, which are not remembered."""
        tokens = [token for text in texts for token in self._model.tokens(text)]
        vectors = self._model.embed(torch.tensor(tokens, dtype=torch.int64, device=device))
        return float(vectors.float().norm(dim=-1).mean())

    @torch.no_grad()
    def titles(self, items: Tensor, shelf: Shelf, length: int) -> Part:
        """The first tokens of items' titles: one row for each of N items (N,), padded on the right to a length."""
        distinct, places = torch.unique(items, return_inverse=True)
        table = torch.full((len(distinct), length), NOBODY, dtype=torch.int64)
        for row, item in enumerate(distinct.tolist()):
            if item != NOBODY and (read := self._title(shelf.titles[item], length)):
                table[row, : len(read)] = torch.tensor(read, dtype=torch.int64)
        tokens = table.to(items.device)[places]
        return Part(self._model.embed(tokens.clamp(min=0)), tokens != NOBODY)

    def _title(self, title: str, length: int) -> list[int]:
        key = (title[: _LETTERS * length], length)
        read = self._titles.pop(key, None)
        if read is None:
            read = self._model.tokens(key[0])[:length]
        # The last one in is the last one used.
        self._titles[key] = read
        if len(self._titles) > _REMEMBERED:
            self._titles.popitem(last=False)
        return read
