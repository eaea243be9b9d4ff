"""Seeds that can be derived by name, so that adding one consumer never shifts another's stream."""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for one purpose, e.g. ``derive_seed(7, "dropout", epoch)``.

    The same seed and names give the same number on every machine and in every process.
    """
    text = "/".join([str(int(seed)), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator for one purpose."""
    return np.random.default_rng(derive_seed(seed, *names))


_LOW = (1 << 64) - 1


def uniform(seed: int, position: int) -> float:
    """A number in [0, 1) that follows from both, cheap enough for every event (splitmix64, Steele et al. 2014)."""
    mixed = (seed + (position + 1) * 0x9E3779B97F4A7C15) & _LOW
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _LOW
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _LOW
    return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)
