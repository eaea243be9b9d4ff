"""A few texts, pictures and sounds, ordinary and strange, for tests of what reads, looks and listens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dynmm.catalogue.content import AUDIO, IMAGE, SAMPLE_RATE, Content, Modality, Picture, Sound
from dynmm.randomness import generator

_TEXTS = (
    "A red silk scarf with white dots.",
    "Stainless steel pan, 28 cm, for induction.",
    "x",
    "???",
    "Ein Krimi aus Göteborg – 3. Band",
    "東京の地図",
    "\U0001f600 \U0001f680",
    "many words " * 400,
)


def sample_contents(modality: Modality) -> list[Content]:
    """Different contents of one modality, the same at each call, such as decoders and item tables give them.

    Among them are the shortest and longest texts, pictures of one pixel and of a single colour, silence and a
    sound of one sample.
    """
    if modality == IMAGE:
        return list(_pictures())
    if modality == AUDIO:
        return list(_sounds())
    return list(_TEXTS)


def _pictures() -> Sequence[Picture]:
    draw = generator(3, "pictures")
    across, down = np.meshgrid(np.linspace(0, 255, 96), np.linspace(0, 255, 64))
    planes = [
        np.stack([across, down, 255 - across], axis=-1),
        draw.integers(0, 256, (40, 40, 3)),
        np.full((32, 48, 3), (180, 20, 20)),
        np.zeros((16, 16, 3)),
        np.full((1, 1, 3), 200),
        draw.integers(0, 256, (3, 200, 3)),
    ]
    return [Picture(plane.astype(np.uint8), plane.shape[1], plane.shape[0]) for plane in planes]


def _sounds() -> Sequence[Sound]:
    draw = generator(3, "sounds")
    moments = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    waves = [
        0.5 * np.sin(2 * np.pi * 440 * moments),
        0.3 * draw.standard_normal(SAMPLE_RATE // 2),
        np.sign(np.sin(2 * np.pi * 90 * moments)),
        np.zeros(SAMPLE_RATE // 4),
        np.full(1, 0.25),
        0.2 * np.sin(2 * np.pi * (200 + 900 * moments) * moments),
    ]
    return [Sound(np.clip(wave, -1, 1).astype(np.float32), SAMPLE_RATE, 1) for wave in waves]
