"""Pictures, sounds and hostile files, made here so that each test shows what it is about."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from dynmm.interactions.dataset import Dataset

JPEG, PNG, WEBP = "JPEG", "PNG", "WEBP"


def scene(width: int = 120, height: int = 80, seed: int = 0) -> NDArray[np.uint8]:
    """(H, W, 3) a smooth colour ramp with a few hard-edged squares: something to see at any size."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    ramp = np.stack([255 * columns / width, 255 * rows / height, 255 * (1 - columns / width)], axis=2)
    for _ in range(12):
        top, left = random.integers(0, height), random.integers(0, width)
        ramp[top : top + height // 5, left : left + width // 6] = random.integers(0, 256, 3)
    return ramp.astype(np.uint8)


def picture_file(kind: str = PNG, pixels: NDArray[Any] | None = None, mode: str | None = None, **options: Any) -> bytes:
    image = Image.fromarray(scene() if pixels is None else pixels)
    if mode is not None:
        image = image.convert(mode, palette=Image.Palette.ADAPTIVE)
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def tone(seconds: float = 1.0, rate: int = 16_000, hertz: float = 440.0, loudness: float = 0.5) -> NDArray[np.float64]:
    """(S,) a sine."""
    return loudness * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def sound_file(
    samples: NDArray[Any] | None = None, rate: int = 16_000, kind: str = "WAV", subtype: str | None = None
) -> bytes:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, tone() if samples is None else samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def zip_bomb(megabytes: int = 50) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(megabytes * 10**6))
    return buffer.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_bomb(width: int, height: int) -> bytes:
    """A valid PNG of one colour: hardly any bytes, and three for each pixel when it is decoded."""
    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * width)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")


def png_with_text_bomb(megabytes: int = 100) -> bytes:
    """A small PNG with a compressed comment of many megabytes."""
    small = picture_file(PNG)
    text = png_chunk(b"zTXt", b"comment\0\0" + zlib.compress(bytes(megabytes * 10**6), 9))
    after_header = 8 + 25
    return small[:after_header] + text + small[after_header:]


def mutated(raw: bytes, random: np.random.Generator) -> bytes:
    """The file with one to four kinds of damage."""
    data = bytearray(raw)
    for _ in range(random.integers(1, 5)):
        place = int(random.integers(0, max(1, len(data))))
        length = int(random.integers(1, 64))
        match random.integers(0, 7):
            case 0:  # some bytes anywhere
                for at in random.integers(0, max(1, len(data)), 8):
                    data[at : at + 1] = bytes([random.integers(0, 256)])
            case 1:  # the header, where the numbers are
                at = int(random.integers(0, min(64, max(1, len(data)))))
                data[at : at + 4] = random.bytes(4)
            case 2:
                del data[place:]
            case 3:
                del data[place : place + length]
            case 4:
                data[place:place] = data[place : place + length]
            case 5:
                data[place : place + length] = bytes(length)
            case _:  # an extreme number
                data[place : place + 4] = b"\xff\xff\xff\x7f"
    return bytes(data)


def data_set(items: list[str], **more: Any) -> Dataset:
    """Two users who had every item."""
    rows = pl.DataFrame({"user_id": ["u"] * len(items) + ["v"] * len(items), "item_id": items * 2})
    return Dataset.from_frames(rows, **more)
