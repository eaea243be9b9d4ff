"""Small pictures whose palette, shapes and texture are a style, and their PNG bytes."""

from __future__ import annotations

import colorsys
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

#: What a style says of a picture, each trait from 0 to 1.
LOOK = (
    "hue",
    "brightness",
    "colourfulness",
    "accent",
    "shapes",
    "size",
    "roundness",
    "frequency",
    "orientation",
    "contrast",
)

#: Standard deviation of the noise of a pixel, of 1.
_GRAIN = 0.015


def paint(look: NDArray[np.float64], size: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """(size, size, 3) RGB: a ground with stripes, and shapes of another colour at random places.

    look: (len(LOOK),) in [0, 1]. Equal looks give pictures that differ by the places of shapes and by grain.
    """
    said = dict(zip(LOOK, look.tolist(), strict=True))
    # Three quarters of the colour circle: the two ends of a trait must not look alike.
    hue, value, colour = 0.75 * said["hue"], 0.25 + 0.6 * said["brightness"], 0.15 + 0.75 * said["colourfulness"]
    ground = np.array(colorsys.hsv_to_rgb(hue, colour, value))
    accent = np.array(colorsys.hsv_to_rgb((hue + 0.1 + 0.4 * said["accent"]) % 1.0, colour, 1.0 - 0.6 * value))
    y, x = np.mgrid[0:size, 0:size] / size
    inside = np.zeros((size, size), dtype=bool)
    for _ in range(1 + int(7.999 * said["shapes"])):
        across, down = random.random(2)
        inside |= _shape(x - across, y - down, 0.07 + 0.13 * said["size"], 0.7 * 9 ** said["roundness"])
    angle, cycles = 0.8 * np.pi * said["orientation"], 2.0 + 8.0 * said["frequency"]
    wave = np.sin(2 * np.pi * (cycles * (x * np.cos(angle) + y * np.sin(angle)) + random.random()))
    light = 1.0 + (0.03 + 0.35 * said["contrast"]) * wave
    pixels = np.where(inside[..., None], accent, ground * light[..., None])
    pixels = pixels + _GRAIN * random.standard_normal((size, size, 1))
    return np.round(255 * np.clip(pixels, 0.0, 1.0)).astype(np.uint8)


def _shape(x: NDArray[np.float64], y: NDArray[np.float64], radius: float, power: float) -> NDArray[np.bool_]:
    """Which points lie within: a star for powers below 1, then a diamond, a disc at 2, nearly a square above."""
    within: NDArray[np.bool_] = np.abs(x / radius) ** power + np.abs(y / radius) ** power <= 1.0
    return within


def png(pixels: NDArray[np.uint8]) -> bytes:
    """An 8-bit RGB PNG (ISO/IEC 15948). pixels: (H, W, 3)."""
    height, width, _ = pixels.shape
    # Filter 1: each byte less the one of the pixel to its left, which packs better than the bytes themselves.
    less = np.diff(pixels, axis=1, prepend=np.zeros((height, 1, 3), np.uint8)).reshape(height, -1)
    lines = np.concatenate([np.ones((height, 1), np.uint8), less], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(lines.tobytes(), 6)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
