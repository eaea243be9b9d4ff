"""Sounds are what their tone says, and their WAV is one that others read."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dynmm.catalogue.content import SAMPLE_RATE
from dynmm.simulation.sounds import TONE, play, wav

Samples = NDArray[np.float64]


def played(traits: Mapping[str, float], seed: int = 0) -> Samples:
    """A sound with the middle of every trait but those given."""
    tone = np.array([traits.get(name, 0.5) for name in TONE])
    return play(tone, 2.0, np.random.default_rng(seed))


@given(st.integers(1, 2_000), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_a_wav_is_read_back_sample_by_sample(length: int, seed: int) -> None:
    samples = np.random.default_rng(seed).uniform(-1, 1, length)
    read, rate = soundfile.read(io.BytesIO(wav(samples)))
    assert rate == SAMPLE_RATE
    assert read.shape == (length,)
    assert np.abs(read - samples).max() < 1e-4


@given(st.lists(st.floats(0, 1), min_size=len(TONE), max_size=len(TONE)), st.floats(0.25, 1), st.integers(0, 2**31))
@settings(max_examples=12, deadline=None)
def test_any_tone_can_be_played_again(traits: list[float], seconds: float, seed: int) -> None:
    one, again = (play(np.array(traits), seconds, np.random.default_rng(seed)) for _ in range(2))
    assert one.shape == (round(seconds * SAMPLE_RATE),)
    assert np.array_equal(one, again)
    assert np.isfinite(one).all()
    assert np.abs(one).max() <= 1
    assert loudness(one) > 0.01


def loudness(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples**2)))


def centre(samples: Samples) -> float:
    """The mean frequency in Hz, weighted by power."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    return float((power * np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)).sum() / power.sum())


def onsets(samples: Samples) -> float:
    """How often the level rises steeply within 10 ms."""
    level = np.sqrt((samples[: len(samples) // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1))
    return float((np.diff(np.log(level + 1e-6)) > 0.3).sum())


def silence(samples: Samples) -> float:
    """Share of the time with less than a fifth of the mean level."""
    level = np.abs(samples[: len(samples) // 160 * 160].reshape(-1, 160)).mean(axis=1)
    return float((level < level.mean() / 5).mean())


@pytest.mark.parametrize(
    ("trait", "measure", "others"),
    [
        ("pitch", centre, {"brightness": 0.0, "range": 0.0}),
        ("brightness", centre, {"pitch": 0.4, "range": 0.0}),
        ("loudness", loudness, {}),
        ("pace", onsets, {"sustain": 0.0, "pitch": 0.8, "breath": 0.0, "tremolo": 0.0}),
    ],
)
def test_a_trait_is_heard(trait: str, measure: Callable[[Samples], float], others: dict[str, float]) -> None:
    heard = [measure(played({**others, trait: value})) for value in (0.0, 0.5, 1.0)]
    assert heard[0] < heard[1] < heard[2]
    assert heard[2] > 1.5 * heard[0]


def test_a_plucked_note_dies_away_and_a_held_one_does_not() -> None:
    plucked, held = (played({"pace": 0.0, "tremolo": 0.0, "sustain": value}) for value in (0.0, 1.0))
    assert silence(plucked) > silence(held) + 0.2


def test_another_sound_of_the_same_tone_is_another_tune() -> None:
    one, other = played({}), played({}, seed=1)
    assert not np.allclose(one, other)
    assert loudness(one) == pytest.approx(loudness(other), rel=1e-6)
