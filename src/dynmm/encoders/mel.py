"""Spectra on the mel scale, which follows what the ear takes for equal steps of pitch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.catalogue.content import SAMPLE_RATE


def frames(samples: NDArray[np.float32], length: int, hop: int) -> NDArray[np.float32]:
    """Overlapping stretches, (F, length), of at least `length` samples; what is left over at the end is not used."""
    return np.lib.stride_tricks.sliding_window_view(samples, length)[::hop]


def hann(length: int) -> NDArray[np.float32]:
    """The periodic Hann window, (length,)."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)


def to_mel(hertz: NDArray[np.floating] | float) -> NDArray[np.float64]:
    """Hertz to mel, after O'Shaughnessy (1987)."""
    return 1127.0 * np.log1p(np.asarray(hertz, dtype=np.float64) / 700.0)


def mel_bands(bands: int, low: float, high: float, transform: int) -> NDArray[np.float32]:
    """Triangles of equal width on the mel scale, each 1 at its middle.

    low, high: of the outermost triangles, in Hz. transform: T, the length of the Fourier transform.
    Returns (T // 2 + 1, bands), to be multiplied with a spectrum from the right. The constant part is left out.
    """
    edges = np.linspace(to_mel(low), to_mel(high), bands + 2)
    places = to_mel(np.arange(transform // 2 + 1) * (SAMPLE_RATE / transform))[:, None]
    rising = (places - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - places) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0, np.minimum(rising, falling))
    weights[0] = 0
    return weights.astype(np.float32)
