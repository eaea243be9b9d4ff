"""Handcrafted sound descriptors, without weights: loudness, spectrum, harmony and pulse, and words for them.

All sounds are mono at 16 kHz. Levels are in decibels below full scale, times in frames of 16 ms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dynmm.catalogue.content import AUDIO, SAMPLE_RATE, Content, Modality, Sound
from dynmm.encoders.attributes import Ramp, Word, degrees
from dynmm.encoders.encoder import Encoded
from dynmm.encoders.mel import frames, hann, mel_bands
from dynmm.encoders.pulse import pulse

#: In samples: stretches of 64 ms every 16 ms.
FRAME, HOP = 1024, 256
#: Levels below this are taken for silence, in dB below full scale.
SILENCE = -80.0
#: Where the strongest frequency of a frame is looked for, in Hz.
LOWEST_PITCH, HIGHEST_PITCH = 50.0, 4000.0
#: A frame's tonal share is what its strongest peaks hold of its energy.
PEAKS = 5
_BANDS, _FINE_BANDS, _CEPSTRUM, _CHROMA = 24, 40, 12, 12

Floats = NDArray[np.float32]

_HEARD = Ramp("loudness", -70, -60)
_PULSE = Ramp("pulse", 0.15, 0.35)
#: loudness: of the whole, dB. range: frame loudness between the 10th and the 95th percentile, dB. centroid: the
#: middle of the spectrum, Hz. flatness: geometric over arithmetic mean of the power, .56 for white noise. tonal:
#: share of energy in the strongest peaks. pitch: the strongest frequency, Hz. tempo: beats a minute. pulse: how
#: much the rhythm repeats with the beat, at most 1.
WORDS: tuple[Word, ...] = (
    Word("loud", "close to the loudest that can be stored", (Ramp("loudness", -20, -12),)),
    Word("quiet", "soft, or silent", (Ramp("loudness", -28, -40),)),
    Word("dynamic", "loud and quiet parts", (Ramp("range", 15, 30), _HEARD)),
    Word("steady", "equally loud throughout", (Ramp("range", 9, 4), _HEARD)),
    Word("fast", "a clear, quick beat", (Ramp("tempo", 120, 150), _PULSE)),
    Word("slow", "a clear, slow beat", (Ramp("tempo", 100, 70), _PULSE)),
    Word("bright", "treble outweighs bass", (Ramp("centroid", 1500, 2500), _HEARD)),
    Word("dull", "hardly any treble", (Ramp("centroid", 800, 400), _HEARD)),
    Word("noisy", "hiss, rush or applause", (Ramp("flatness", 0.1, 0.35), _HEARD)),
    Word("tonal", "clear tones, as of an instrument or a song", (Ramp("tonal", 0.6, 0.9), _HEARD)),
    Word("low-pitched", "the strongest tones are low", (Ramp("pitch", 220, 110), Ramp("tonal", 0.3, 0.6), _HEARD)),
    Word("high-pitched", "the strongest tones are high", (Ramp("pitch", 600, 1200), Ramp("tonal", 0.3, 0.6), _HEARD)),
)


class Acoustic:
    """105 numbers and 12 words for a sound, from its samples alone. Needs no weights."""

    modality: Modality = AUDIO
    attribute_names: tuple[str, ...] = tuple(word.name for word in WORDS)
    identity = "acoustic-1"
    width = 105

    def encode(self, contents: Sequence[Content]) -> Encoded:
        """contents: B sounds. Returns vectors (B, 105) and attributes (B, 12), in the order of `WORDS`."""
        described = [describe(content.samples) for content in contents if isinstance(content, Sound)]
        assert len(described) == len(contents), "an audio encoder is given sounds"
        vectors = np.stack([vector for vector, _ in described])
        return Encoded(vectors, np.stack([degrees(WORDS, measures) for _, measures in described]))


def describe(samples: Floats) -> tuple[Floats, Mapping[str, float]]:
    """The vector of a sound, (105,), and the measures that `WORDS` speak of. samples: (S,), S may be 0."""
    whole = np.pad(samples, (0, max(0, FRAME - len(samples))))
    cut = frames(whole, FRAME, HOP)
    power = _power(cut)
    level = _decibels(np.mean(cut * cut, axis=1))
    shapes, centroid, flatness = _shapes(power)
    pitch, tonal = _peaks(power)
    fine = _decibels(power @ mel_bands(_FINE_BANDS, 40, 8000, FRAME))
    tempo, strength, onsets = pulse(fine, HOP / SAMPLE_RATE)
    loudness = _level(float(np.mean(samples * samples)) if len(samples) else 0.0)
    measures = {
        "loudness": loudness,
        "range": float(np.subtract(*np.percentile(level, [95, 10]))),
        "centroid": centroid,
        "flatness": flatness,
        "tonal": tonal,
        "pitch": pitch,
        "tempo": tempo,
        "pulse": strength,
    }
    beat = [np.log2(tempo / 120) if tempo else 0.0, strength, onsets / 10]
    tones = [np.log2(pitch / 440) / 4 if pitch else 0.0, tonal, np.log2(1 + len(samples) / SAMPLE_RATE) / 8]
    spectrum = [_bands(power), _cepstrum(fine), _chroma(power), shapes]
    rest = [_crossings(cut), _levels(samples, level, measures), np.array(beat), np.array(tones)]
    return np.concatenate([*spectrum, *rest], dtype=np.float32), measures


def _power(cut: Floats) -> Floats:
    """(F, 1024) samples to (F, 513), scaled so that a full-scale sine's peak is near 1."""
    window = hann(FRAME)
    spectrum = fft.rfft(cut * window, axis=1)
    power: Floats = (spectrum.real**2 + spectrum.imag**2) * np.float32(4 / window.sum() ** 2)
    return power


def _decibels(power: NDArray[np.floating]) -> Floats:
    """Of full scale; no lower than `SILENCE`."""
    decibels: Floats = 10 * np.log10(np.maximum(power, np.float32(10 ** (SILENCE / 10))))
    return decibels


def _level(power: float) -> float:
    return float(_decibels(np.array([power]))[0])


def _bands(power: Floats) -> Floats:
    """Level in each of 24 mel bands: mean and deviation over time, (48,). 0 is silence, 1 is full scale."""
    levels = 1 - _decibels(power @ mel_bands(_BANDS, 40, 8000, FRAME)) / SILENCE
    return np.concatenate([levels.mean(axis=0), levels.std(axis=0)])


def _cepstrum(fine: Floats) -> Floats:
    """Coefficients 1 to 12 of the fine mel spectrum: mean and deviation over time, (24,)."""
    kept = fft.dct(fine, axis=1, norm="ortho")[:, 1 : 1 + _CEPSTRUM] / 100
    return np.concatenate([kept.mean(axis=0), kept.std(axis=0)])


def _chroma(power: Floats) -> Floats:
    """Share of each of the 12 semitones, all octaves together, beginning with A, (12,)."""
    frequencies = np.arange(1, FRAME // 2 + 1) * (SAMPLE_RATE / FRAME)
    # Below, semitones are closer than the bins of the spectrum.
    heard = (frequencies >= 250) & (frequencies <= HIGHEST_PITCH)
    tone = np.round(12 * np.log2(frequencies[heard] / 440)).astype(np.int64) % _CHROMA
    shares = np.bincount(tone, power[:, 1:][:, heard].sum(axis=0), minlength=_CHROMA).astype(np.float64)
    return _divided(shares, shares.sum())


def _shapes(power: Floats) -> tuple[Floats, float, float]:
    """Centroid, width and 85 % point of the magnitudes, flatness: mean and deviation over time, (8,)."""
    spectrum = power[:, 1:]
    frequencies = np.arange(1, FRAME // 2 + 1, dtype=np.float32) * np.float32(SAMPLE_RATE / FRAME)
    energy = spectrum.sum(axis=1)
    magnitude = np.sqrt(spectrum)
    share = _divided(magnitude, magnitude.sum(axis=1, keepdims=True))
    centroid = share @ frequencies
    width = np.sqrt(np.maximum(0, share @ frequencies**2 - centroid**2))
    point = frequencies[(np.cumsum(share, axis=1) >= 0.85 * share.sum(axis=1, keepdims=True)).argmax(axis=1)]
    flatness = np.exp(np.log(spectrum + np.float32(1e-12)).mean(axis=1)) / (spectrum.mean(axis=1) + np.float32(1e-12))
    # So that the hiss between two words or after the last note counts for little.
    weights = _divided(energy, energy.sum())
    rows = np.stack([centroid / 8000, width / 8000, point / 8000, flatness])
    means = rows @ weights
    deviations = np.sqrt(np.maximum(0, (rows - means[:, None]) ** 2 @ weights))
    return np.concatenate([means, deviations]), float(8000 * means[0]), float(means[3])


def _peaks(power: Floats) -> tuple[float, float]:
    """The strongest frequency in Hz, the median over time weighted by energy, and the tonal share. 0, 0 if silent."""
    energy = power[:, 1:].sum(axis=1)
    total = float(energy.sum())
    if total <= 10 ** (SILENCE / 10):
        return 0.0, 0.0
    low, high = (round(hertz * FRAME / SAMPLE_RATE) for hertz in (LOWEST_PITCH, HIGHEST_PITCH))
    strongest = low + power[:, low : high + 1].argmax(axis=1)
    order = np.argsort(strongest, kind="stable")
    median = order[np.searchsorted(np.cumsum(energy[order]), total / 2)]
    middle = power[:, 1:-1]
    peak = (middle >= power[:, :-2]) & (middle > power[:, 2:])
    # A peak of the Hann window is three bins wide.
    held = np.where(peak, power[:, :-2] + middle + power[:, 2:], 0)
    best = np.partition(held, -PEAKS, axis=1)[:, -PEAKS:].sum(axis=1)
    return _between_bins(power[median], int(strongest[median])), min(1.0, float(best.sum()) / total)


def _between_bins(row: Floats, place: int) -> float:
    """The frequency of a peak in Hz, from the parabola through the logarithms of three bins."""
    left, middle, right = np.log(row[place - 1 : place + 2].astype(np.float64) + 1e-20)
    bend = left - 2 * middle + right
    shift = float(np.clip((left - right) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0
    return (place + shift) * SAMPLE_RATE / FRAME


def _crossings(cut: Floats) -> Floats:
    """Share of neighbouring samples of different sign: mean and deviation over time, (2,)."""
    below = cut < 0
    rate = (below[:, 1:] != below[:, :-1]).mean(axis=1)
    return np.array([rate.mean(), rate.std()], dtype=np.float32)


def _levels(samples: Floats, level: Floats, measures: Mapping[str, float]) -> Floats:
    """Loudness, its range, the peak, peak over loudness, the share of silence, (5,)."""
    peak = _level(float(np.max(np.abs(samples), initial=0)) ** 2)
    scaled = [1 - measures["loudness"] / SILENCE, -measures["range"] / SILENCE, 1 - peak / SILENCE]
    crest, silence = (peak - measures["loudness"]) / 40, float((level < -60).mean())
    return np.array([*scaled, crest, silence], dtype=np.float32)


def _divided(values: NDArray[np.floating], total: NDArray[np.floating] | np.floating) -> Floats:
    """Shares of a total; zeros where there is nothing to share."""
    shares: Floats = (values / np.where(total > 0, total, 1)).astype(np.float32)
    return shares
