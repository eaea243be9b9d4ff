"""Pictures and sounds of which one knows what they are, and the real ones where there are any."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dynmm.catalogue.content import SAMPLE_RATE, Picture, Sound


def picture(pixels: NDArray[np.integer]) -> Picture:
    """pixels: (H, W, 3) in 0..255."""
    return Picture(pixels.astype(np.uint8), pixels.shape[1], pixels.shape[0])


def plain(red: int, green: int, blue: int, size: tuple[int, int] = (60, 80)) -> Picture:
    """One colour. size: (H, W)."""
    return picture(np.broadcast_to(np.array([red, green, blue]), (*size, 3)))


def noise_picture(seed: int = 0, size: tuple[int, int] = (120, 90)) -> Picture:
    return picture(np.random.default_rng(seed).integers(0, 256, (*size, 3)))


def sound(samples: NDArray[np.floating]) -> Sound:
    return Sound(samples.astype(np.float32), SAMPLE_RATE, 1)


def seconds(length: float) -> NDArray[np.float64]:
    """The moment of each sample."""
    return np.arange(int(length * SAMPLE_RATE)) / SAMPLE_RATE


def tone(hertz: float, level: float = 0.5, length: float = 3) -> Sound:
    return sound(level * np.sin(2 * np.pi * hertz * seconds(length)))


def hiss(level: float = 0.2, length: float = 3, seed: int = 0) -> Sound:
    """White noise."""
    return sound(level * np.random.default_rng(seed).standard_normal(int(length * SAMPLE_RATE)))


def clicks(beats_a_minute: float, length: float = 12, seed: int = 0) -> Sound:
    """25 ms of noise at each beat, silence between."""
    samples = np.zeros(int(length * SAMPLE_RATE))
    for beat in np.arange(0, length - 0.05, 60 / beats_a_minute):
        start = int(beat * SAMPLE_RATE)
        samples[start : start + 400] = 0.5 * np.random.default_rng(seed + start).standard_normal(400)
    return sound(samples)


def real_folder(name: str) -> Path:
    """A folder of the real data; the test is skipped where there is none."""
    return _there(Path(os.environ.get("DYNMM_DATA", "")) / name, f"DYNMM_DATA does not name a folder with {name}")


def weights(name: str) -> Path:
    """A folder with pretrained weights, beside the real data."""
    place = Path(os.environ.get("DYNMM_DATA", "")).resolve().parent / "weights" / name
    return _there(place, f"there are no weights/{name} beside the folder that DYNMM_DATA names")


def _there(place: Path, reason: str) -> Path:
    if "DYNMM_DATA" not in os.environ or not place.is_dir():
        pytest.skip(reason)
    return place
