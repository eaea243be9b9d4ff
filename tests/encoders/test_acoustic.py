from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.encoders.made import clicks, hiss, seconds, sound, tone

from dynmm.catalogue.content import SAMPLE_RATE, Sound
from dynmm.encoders.acoustic import WORDS, Acoustic, describe
from dynmm.encoders.encoder import Encoder

_ACOUSTIC = Acoustic()
_SILENCE = sound(np.zeros(SAMPLE_RATE))


def words(heard: Sound) -> dict[str, float]:
    attributes = _ACOUSTIC.encode([heard]).attributes
    assert attributes is not None
    return dict(zip(_ACOUSTIC.attribute_names, attributes[0].tolist(), strict=True))


def holding(heard: Sound) -> set[str]:
    return {word for word, degree in words(heard).items() if degree >= 0.5}


def test_it_is_an_encoder_with_the_promised_shapes() -> None:
    assert isinstance(_ACOUSTIC, Encoder)
    encoded = _ACOUSTIC.encode([tone(440), hiss()])
    assert encoded.attributes is not None
    assert encoded.vectors.shape == (2, _ACOUSTIC.width)
    assert encoded.vectors.dtype == encoded.attributes.dtype == np.float32
    assert encoded.attributes.shape == (2, len(WORDS)) == (2, len(set(_ACOUSTIC.attribute_names)))


@settings(max_examples=25)
@given(st.integers(0, 20_000), st.integers(0, 9), st.floats(0, 1))
def test_any_sound_gives_numbers_of_a_usual_size(length: int, seed: int, level: float) -> None:
    samples = np.random.default_rng(seed).uniform(-1, 1, length) * level
    encoded = _ACOUSTIC.encode([sound(samples)])
    assert encoded.attributes is not None
    assert np.isfinite(encoded.vectors).all()
    assert np.abs(encoded.vectors).max() <= 3
    assert ((encoded.attributes >= 0) & (encoded.attributes <= 1)).all()


def test_a_row_depends_on_its_own_sound_alone() -> None:
    heard = [tone(300), hiss(), clicks(100)]
    together = _ACOUSTIC.encode(heard)
    for row, one in enumerate(heard):
        assert np.array_equal(_ACOUSTIC.encode([one]).vectors[0], together.vectors[row])


@pytest.mark.parametrize("hertz", [110, 440, 1000, 3000])
def test_a_tone_is_where_it_is(hertz: float) -> None:
    _, measures = describe(tone(hertz).samples)
    assert measures["centroid"] == pytest.approx(hertz, rel=0.02)
    assert measures["pitch"] == pytest.approx(hertz, rel=0.01)
    assert measures["tonal"] > 0.95


def test_the_level_of_a_sine_by_hand() -> None:
    """Amplitude .5 has the power .125, which is 9.03 dB below full scale."""
    _, measures = describe(tone(500).samples)
    assert measures["loudness"] == pytest.approx(10 * np.log10(0.125), abs=0.01)
    assert measures["range"] < 0.1


def test_the_flatness_of_white_noise_by_hand() -> None:
    """The power of noise is exponential at each frequency: its geometric mean is e to the minus Euler's constant."""
    _, measures = describe(hiss(length=10).samples)
    assert measures["flatness"] == pytest.approx(np.exp(-np.euler_gamma), abs=0.02)
    assert measures["centroid"] == pytest.approx(4000, rel=0.03)


@pytest.mark.parametrize("tempo", [60, 75, 90, 100, 120, 133, 150, 180])
def test_the_tempo_of_clicks(tempo: float) -> None:
    _, measures = describe(clicks(tempo).samples)
    assert measures["tempo"] == pytest.approx(tempo, rel=0.05)
    assert measures["pulse"] > 0.5


def test_a_tone_has_no_beat() -> None:
    _, measures = describe(tone(440).samples)
    assert measures["tempo"] == 0
    assert not {"fast", "slow"} & holding(tone(440))


def test_words_for_made_sounds() -> None:
    assert {"loud", "steady", "tonal", "low-pitched", "dull"} <= holding(tone(100))
    assert {"tonal", "high-pitched", "bright"} <= holding(tone(3000))
    assert {"loud", "steady", "noisy", "bright"} <= holding(hiss())
    assert {"fast", "dynamic"} <= holding(clicks(160))
    assert {"slow", "dynamic"} <= holding(clicks(60))
    assert "tonal" not in holding(hiss())
    assert not {"noisy", "high-pitched", "fast"} & holding(tone(100))


def test_silence_is_quiet_and_nothing_else() -> None:
    for nothing in (_SILENCE, sound(np.zeros(0)), sound(np.zeros(3))):
        assert holding(nothing) == {"quiet"}


def test_louder_is_never_quieter() -> None:
    found = [words(tone(440, level, 1)) for level in np.geomspace(0.001, 0.9, 12)]
    loud, quiet = ([one[word] for one in found] for word in ("loud", "quiet"))
    assert loud == sorted(loud)
    assert quiet == sorted(quiet, reverse=True)
    assert (loud[0], loud[-1], quiet[0], quiet[-1]) == (0, 1, 1, 0)


def test_higher_is_never_duller() -> None:
    found = [words(tone(hertz, length=1)) for hertz in np.geomspace(80, 3800, 12)]
    dull, bright = ([one[word] for one in found] for word in ("dull", "bright"))
    assert dull == sorted(dull, reverse=True)
    assert bright == sorted(bright)


def test_more_noise_is_noisier_and_less_tonal() -> None:
    noise = np.random.default_rng(1).standard_normal(2 * SAMPLE_RATE)
    found = [words(sound(0.3 * tone(440, 1, 2).samples + level * noise)) for level in (0.0, 0.05, 0.2, 0.5)]
    noisy, tonal = ([one[word] for one in found] for word in ("noisy", "tonal"))
    assert noisy == sorted(noisy)
    assert tonal == sorted(tonal, reverse=True)


def test_dynamic_is_loud_and_quiet() -> None:
    swell = np.abs(np.sin(2 * np.pi * 0.25 * seconds(8)))
    both = sound(0.5 * np.sin(2 * np.pi * 440 * seconds(8)) * np.where(swell > 0.5, 1, 0.01))
    assert "dynamic" in holding(both)
    assert "steady" not in holding(both)


def test_chroma_names_the_semitone() -> None:
    """A is the first; its octave is the same semitone, and C lies three further on."""
    start = 48 + 24
    shares = [_ACOUSTIC.encode([tone(hertz)]).vectors[0, start : start + 12] for hertz in (440, 880, 523.25)]
    assert [int(share.argmax()) for share in shares] == [0, 0, 3]
    assert all(share.sum() == pytest.approx(1, abs=1e-4) for share in shares)


def test_a_louder_recording_has_the_same_shape_of_spectrum() -> None:
    _, soft = describe(hiss(0.02).samples)
    _, loud = describe(hiss(0.2).samples)
    for measure in ("centroid", "flatness", "tonal"):
        assert soft[measure] == pytest.approx(loud[measure], rel=1e-3)
    assert loud["loudness"] - soft["loudness"] == pytest.approx(20, abs=0.01)
