"""What an encoder gets to see: a text, a decoded picture, a decoded sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Modality = Literal["text", "image", "audio"]
TEXT: Modality = "text"
IMAGE: Modality = "image"
AUDIO: Modality = "audio"
MODALITIES: tuple[Modality, ...] = get_args(Modality)

#: Sounds are resampled to this rate, in Hz, where they are decoded.
SAMPLE_RATE = 16_000


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    pixels: (H, W, 3) uint8 RGB, turned upright and scaled down where it was large. width, height: as stored.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class Sound:
    """A decoded sound.

    samples: (S,) float32 in [-1, 1], mono at `SAMPLE_RATE`. rate: in Hz, channels: both as stored.
    """

    samples: NDArray[np.float32]
    rate: int
    channels: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


Content = str | Picture | Sound
