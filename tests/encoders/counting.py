"""A tiny encoder that can be read, and that notes each content that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from dynmm.catalogue.content import IMAGE, TEXT, Content, Modality, Picture
from dynmm.encoders.encoder import Encoded


class Counting:
    """A text as its length and its number of words. An instance ends itself before batch `ends_at`, as a kill would."""

    modality: Modality = TEXT
    width = 2
    attribute_names: tuple[str, ...] = ()
    identity = "counting-1"
    #: Of all instances, for those that are made by their name.
    batches: ClassVar[list[list[Content]]] = []

    def __init__(self, ends_at: int | None = None) -> None:
        self._ends_at, self._own = ends_at, 0

    def encode(self, contents: Sequence[Content]) -> Encoded:
        if self._own == self._ends_at:
            raise KeyboardInterrupt
        self._own += 1
        self.batches.append(list(contents))
        return Encoded(np.array([self._row(content) for content in contents], dtype=np.float32))

    def _row(self, content: Content) -> tuple[float, float]:
        assert isinstance(content, str)
        return len(content), len(content.split())


class Middles(Counting):
    """A picture as its red and its green; how bright it is, as a word."""

    modality: Modality = IMAGE
    identity = "middles-1"
    attribute_names: tuple[str, ...] = ("bright",)

    def encode(self, contents: Sequence[Content]) -> Encoded:
        vectors = super().encode(contents).vectors
        return Encoded(vectors, vectors.mean(axis=1, keepdims=True))

    def _row(self, content: Content) -> tuple[float, float]:
        assert isinstance(content, Picture)
        red, green, _ = content.pixels.mean(axis=(0, 1)) / 255
        return red, green


class Dividing(Counting):
    """Has no finite number for a text of one word."""

    identity = "dividing-1"

    def _row(self, content: Content) -> tuple[float, float]:
        length, words = super()._row(content)
        return (length / (words - 1) if words != 1 else float("inf")), words
