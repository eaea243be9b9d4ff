"""Encoders that do not hold to their contract, each in one way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dynmm.catalogue.content import TEXT, Content, Modality
from dynmm.encoders.encoder import Encoded


class Raising:
    """Fails on every batch."""

    modality: Modality = TEXT
    width = 2
    attribute_names: tuple[str, ...] = ()
    identity = "raising-1"

    def encode(self, contents: Sequence[Content]) -> Encoded:
        raise RuntimeError("the reader is out of ink")


class Unmade(Raising):
    """Misses its weights."""

    def __init__(self) -> None:
        raise FileNotFoundError("weights.bin")


class OneRow(Raising):
    """One row, whatever the batch."""

    identity = "one-row-1"

    def encode(self, contents: Sequence[Content]) -> Encoded:
        return Encoded(np.ones((1, 2), np.float32))


class Wider(Raising):
    """Rows wider than it says."""

    identity = "wider-1"

    def encode(self, contents: Sequence[Content]) -> Encoded:
        return Encoded(np.ones((len(contents), 3), np.float32))


class Wordless(Raising):
    """Names a word and gives none."""

    identity = "wordless-1"
    attribute_names: tuple[str, ...] = ("red",)

    def encode(self, contents: Sequence[Content]) -> Encoded:
        return Encoded(np.ones((len(contents), 2), np.float32))


class Bare(Raising):
    """Gives an array."""

    identity = "bare-1"

    def encode(self, contents: Sequence[Content]) -> Encoded:
        return np.ones((len(contents), 2), np.float32)  # type: ignore[return-value]
