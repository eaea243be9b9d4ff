"""An encoder as a guest would write it: one file, outside the package, that imports public names only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dynmm.catalogue.content import Content, Modality
from dynmm.encoders.encoder import Encoded


class Letters:
    """How often each letter of the English alphabet stands in a text, as a share of the text; and how shouted it is."""

    modality: Modality = "text"
    width = 27
    attribute_names: tuple[str, ...] = ("loud",)
    identity = "outsider-letters-1"

    def encode(self, contents: Sequence[Content]) -> Encoded:
        """One row of shares for each text; the last column is its length."""
        texts = [str(content) for content in contents]
        rows = [
            [*(text.lower().count(chr(97 + place)) / len(text) for place in range(26)), min(len(text), 100) / 100]
            for text in texts
        ]
        loud = [[sum(letter.isupper() for letter in text) / len(text)] for text in texts]
        return Encoded(np.array(rows, dtype=np.float32), np.array(loud, dtype=np.float32))
