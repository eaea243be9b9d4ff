"""Texts as hashed words and pairs of words: no weights, no dependency, the fallback of a lean install.

The hashing trick with signs (Weinberger et al., Feature Hashing for Large Scale Multitask Learning, 2009).
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dynmm.catalogue.content import TEXT, Content, Modality
from dynmm.catalogue.texts import spaced
from dynmm.encoders.encoder import Encoded
from dynmm.errors import ConfigError

_VERSION = "hashed-words-2"
_WORD = re.compile(r"\w+")


class HashedWords:
    """Each word and each pair of neighbours adds or subtracts 1 + ln(count) at a place that its hash names.

    Rows have length one; a text without a single letter or digit is taken by its signs.
    """

    modality: Modality = TEXT
    attribute_names: tuple[str, ...] = ()

    def __init__(self, width: int = 512) -> None:
        """width: number of places. Raises ConfigError below 2."""
        if width < 2:
            raise ConfigError(f"hashed words need at least 2 places, not {width}")
        self.width = width
        self.identity = f"{_VERSION}/{width}"

    def encode(self, contents: Sequence[Content]) -> Encoded:
        """contents: B texts. Returns vectors (B, W)."""
        return Encoded(np.stack([self._vector(content) for content in contents]))

    def _vector(self, content: Content) -> NDArray[np.float32]:
        assert isinstance(content, str), "a text encoder is given texts"
        vector = np.zeros(self.width, dtype=np.float64)
        for term, count in Counter(_terms(content)).items():
            # The digest, unlike Python's own hash, is the same in every process and on every machine.
            number = int.from_bytes(hashlib.blake2b(term.encode(), digest_size=8).digest(), "big")
            vector[(number >> 1) % self.width] += (1 if number & 1 else -1) * (1 + math.log(count))
        length = float(np.linalg.norm(vector))
        return (vector / length if length else vector).astype(np.float32)


def _terms(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = _WORD.findall(spaced(plain)) or plain.split()
    return [*words, *(f"{first} {second}" for first, second in itertools.pairwise(words))]
