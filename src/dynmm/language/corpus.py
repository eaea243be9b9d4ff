"""What the compact model reads: the catalogue's own texts, some held out, the others as an endless stream of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dynmm.catalogue.texts import texts_of
from dynmm.errors import UnsupportedByData
from dynmm.randomness import generator

#: Of the texts, and at most so many, are never trained on: what perplexity is measured with.
_HELD_SHARE, _HELD_MOST = 0.05, 500
#: More than a few minutes of pretraining get through, and little memory.
_MOST_LETTERS = 24_000_000


def catalogue_corpus(table: pl.DataFrame) -> list[str]:
    """The distinct texts of a catalogue, in its order: title, brand, categories and description of each item.

    table: I rows with the columns of `fields.ITEM_SCHEMA`. Empty where no item has any text.
    """
    return list(dict.fromkeys(text for text in texts_of(table) if text))


@dataclass(frozen=True)
class Corpus:
    """Texts to train with, and others that tell how well it went."""

    training: list[str]
    held_out: list[str]


def held_apart(texts: Sequence[str], seed: int) -> Corpus:
    """Distinct texts, a twentieth of them drawn to be held out; of a single text none is.

    Of a very large catalogue a part is drawn that a few minutes can read.
    Raises UnsupportedByData where there is no text.
    """
    distinct = list(dict.fromkeys(text for text in (one.strip() for one in texts) if text))
    if not distinct:
        raise UnsupportedByData(
            "no item has a title, brand, category or description, so there is no text to pretrain a language model "
            "with; give items texts, or choose rerank=mlp, or a pretrained model by language.model"
        )
    order = generator(seed, "compact", "held out").permutation(len(distinct)).tolist()
    letters = np.array([len(distinct[place]) for place in order])
    order = order[: int(np.searchsorted(letters.cumsum() - letters, _MOST_LETTERS))]
    count = min(_HELD_MOST, max(1, round(_HELD_SHARE * len(order)))) if len(order) > 1 else 0
    return Corpus(
        [distinct[place] for place in sorted(order[count:])], [distinct[place] for place in sorted(order[:count])]
    )


def stream(documents: Sequence[NDArray[np.int64]], size: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Blocks of `size` tokens without end: all documents one behind another, in a new order each time round.

    documents: of tokens, with what parts them; at least one token in all.
    """
    waiting: list[NDArray[np.int64]] = []
    held, epoch = 0, 0
    while True:
        while held < size:
            order = generator(seed, "compact", "order", epoch).permutation(len(documents))
            waiting.extend(documents[place] for place in order)
            held += sum(len(one) for one in documents)
            epoch += 1
        line = np.concatenate(waiting)
        for start in range(0, len(line) - size + 1, size):
            yield line[start : start + size]
        rest = len(line) % size
        waiting, held = [line[len(line) - rest :]], rest
