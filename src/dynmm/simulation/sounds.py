"""Short tunes whose pitch, pace, brightness and loudness are a style, and their WAV bytes."""

from __future__ import annotations

import io
import wave

import numpy as np
from numpy.typing import NDArray

from dynmm.catalogue.content import SAMPLE_RATE

#: What a style says of a sound, each trait from 0 to 1.
TONE = ("pitch", "pace", "brightness", "loudness", "range", "sustain", "tremolo", "breath")

_OVERTONES = 10
#: Tremolo in Hz.
_TREMBLE = 6.0


def play(tone: NDArray[np.float64], seconds: float, random: np.random.Generator) -> NDArray[np.float64]:
    """(S,) samples in [-1, 1], mono at SAMPLE_RATE: a tune of random notes around one pitch.

    tone: (len(TONE),) in [0, 1]. Equal tones give sounds that differ by the notes of the tune and by breath.
    """
    said = dict(zip(TONE, tone.tolist(), strict=True))
    moments = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    beats = moments * 2.0 * 5.0 ** said["pace"] + random.random()
    note = beats.astype(np.int64)
    steps = np.round((0.5 + 5.0 * said["range"]) * random.standard_normal(note[-1] + 1)).clip(-12, 12)
    hertz = 110.0 * 8.0 ** said["pitch"] * 2.0 ** (steps[note] / 12)
    tune = _harmonics(hertz, 3.0 - 2.5 * said["brightness"])
    # Each note begins at full height; the shortest is a pluck, the longest is held.
    tune *= np.exp(-(beats - note) * 8.0 * (1.0 - said["sustain"]) ** 2)
    tune *= 1.0 - 0.4 * said["tremolo"] * (1.0 + np.sin(2 * np.pi * _TREMBLE * moments))
    tune += 0.3 * said["breath"] ** 2 * tune.std() * random.standard_normal(len(tune))
    decibels = -34.0 + 22.0 * said["loudness"]
    tune *= 10 ** (decibels / 20) / np.sqrt(np.mean(tune**2))
    clear: NDArray[np.float64] = tune / max(1.0, np.abs(tune).max())
    return clear


def _harmonics(hertz: NDArray[np.float64], fall: float) -> NDArray[np.float64]:
    """Overtones fall off as ``number ** -fall``; none comes near half the sample rate, where it would fold back."""
    phase = 2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE
    before, now, turn = np.zeros_like(phase), np.sin(phase), 2.0 * np.cos(phase)
    tune = np.zeros_like(phase)
    for number in range(1, _OVERTONES + 1):
        tune += number**-fall * np.where(number * hertz < 0.45 * SAMPLE_RATE, now, 0.0)
        # sin((n + 1) x) = 2 cos(x) sin(n x) - sin((n - 1) x)
        before, now = now, turn * now - before
    return tune


def wav(samples: NDArray[np.float64]) -> bytes:
    """A 16-bit mono WAV at SAMPLE_RATE. samples: (S,) in [-1, 1]."""
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.round(samples * 32_767).astype("<i2").tobytes())
    return held.getvalue()
