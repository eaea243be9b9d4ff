"""The beat of a sound: where its onsets repeat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

#: Beats a minute that are looked for.
SLOWEST, FASTEST = 40.0, 210.0
#: The fastest beat wins that repeats at least this well in comparison with the best one: a steady beat also
#: repeats after two and three of its own steps.
AS_CLEAR = 0.85
#: Rises of the level by less than this many dB a frame are no onsets.
SMALLEST_RISE = 1.0
#: Bands so many dB below the loudest moment of the loudest band are not heard beside it.
AUDIBLE = 50.0
#: Without a rise of so many dB, mean over all bands, there is no beat.
CLEAR_RISE = 0.5


def pulse(levels: NDArray[np.float32], step: float) -> tuple[float, float, float]:
    """Tempo by the autocorrelation of the onsets.

    levels: (F, M) in dB, by mel band. step: between frames, in seconds. Returns beats a minute, how clear the
    beat is from 0 to 1, and onsets a second; 0 for what cannot be told, such as the beat of a second of sound.
    """
    strength = _onsets(levels)
    onsets = _peaks_per_second(strength, step)
    slowest, fastest = round(60 / SLOWEST / step), max(1, int(60 / FASTEST / step))
    longest = min(slowest, len(strength) // 2)
    repeats = _autocorrelation(strength)
    if longest <= fastest or not len(repeats) or strength.max() < CLEAR_RISE:
        return 0.0, 0.0, onsets
    lag = _best_lag(repeats, fastest, longest)
    if lag == 0:
        return 0.0, 0.0, onsets
    return 60 / (_refined(repeats, lag) * step), float(min(1.0, repeats[lag])), onsets


def _onsets(levels: NDArray[np.float32]) -> NDArray[np.float64]:
    """How much the level rises at each frame, mean over the bands, (F - 1,)."""
    rises = np.diff(np.maximum(levels, levels.max() - AUDIBLE), axis=0)
    strength: NDArray[np.float64] = np.maximum(0, rises - SMALLEST_RISE).mean(axis=1, dtype=np.float64)
    return strength


def _autocorrelation(strength: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 at lag 0; each lag is divided by the frames that it has. Empty where nothing ever rises."""
    off = strength - strength.mean() if len(strength) else strength
    # Onsets last a frame or two; widened, beats that fall between frames still meet one another.
    off = np.convolve(off, [0.25, 0.5, 0.25], mode="same") if len(off) > 2 else off
    spectrum = np.abs(fft.rfft(off, 2 * len(off))) ** 2 if len(off) else np.zeros(1)
    if spectrum.sum() < 1e-9:
        return np.empty(0)
    raw = fft.irfft(spectrum)[: len(off)]
    repeats: NDArray[np.float64] = raw / raw[0] * (len(off) / np.arange(len(off), 0, -1))
    return repeats


def _best_lag(repeats: NDArray[np.float64], fastest: int, slowest: int) -> int:
    """The shortest lag at a peak that is nearly as high as the highest; 0 where there is no peak."""
    lags = np.arange(fastest, slowest)
    here = repeats[lags]
    peak = (here >= repeats[lags - 1]) & (here > repeats[lags + 1]) & (here > 0)
    if not peak.any():
        return 0
    return int(lags[peak & (here >= AS_CLEAR * here[peak].max())][0])


def _refined(repeats: NDArray[np.float64], lag: int) -> float:
    """A lag between frames: the top of the parabola through three of them."""
    left, middle, right = repeats[lag - 1 : lag + 2]
    bend = left - 2 * middle + right
    return lag + float(np.clip((left - right) / (2 * bend), -0.5, 0.5)) if bend < 0 else float(lag)


def _peaks_per_second(strength: NDArray[np.float64], step: float) -> float:
    """Frames that rise more than their neighbours and than one and a half times the mean."""
    if len(strength) < 3:
        return 0.0
    middle = strength[1:-1]
    tops = (middle >= strength[:-2]) & (middle > strength[2:]) & (middle > 1.5 * strength.mean())
    return float(tops.sum()) / (len(strength) * step)
