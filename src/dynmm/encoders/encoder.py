"""The contract of an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dynmm.catalogue.content import Content, Modality


@dataclass(frozen=True, eq=False)
class Encoded:
    """One batch. vectors: (B, W) float32, finite. attributes: (B, A) float32 in [0, 1], None without names."""

    vectors: NDArray[np.float32]
    attributes: NDArray[np.float32] | None = None


@runtime_checkable
class Encoder(Protocol):
    """A frozen model from content to vectors.

    A row depends on its own content alone, never on the other rows (to rounding).
    """

    @property
    def modality(self) -> Modality:
        """What it takes: ``text`` strings, ``image`` pictures or ``audio`` sounds."""
        ...

    @property
    def width(self) -> int:
        """W, the length of a vector."""
        ...

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """A words, one for each column of `Encoded.attributes`; empty where it gives none."""
        ...

    @property
    def identity(self) -> str:
        """What the vectors follow from besides the content, e.g. a hash of the weights and a code version."""
        ...

    def encode(self, contents: Sequence[Content]) -> Encoded:
        """The vectors of one batch, at least one row."""
        ...
