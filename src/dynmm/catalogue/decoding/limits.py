"""What a decoding function gets and gives. Imported in the decoding process: nothing heavy stands here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class CannotDecode(Exception):
    """The bytes are no picture or sound that is taken. The message completes the sentence "it ..."."""


@dataclass(frozen=True)
class Limits:
    """As `DecodingSettings`: pixels and seconds by the header, side of the picture that comes out."""

    max_pixels: int
    max_seconds: float
    side: int


@dataclass(frozen=True, eq=False)
class Decoded:
    """array: (H, W, 3) uint8 or (S,) float32. facts: numbers for the header, by name."""

    array: NDArray[np.uint8] | NDArray[np.float32]
    facts: dict[str, Any]
