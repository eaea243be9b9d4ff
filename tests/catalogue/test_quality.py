"""Quality without labels: it falls where there is less to see, to hear or to read."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from tests.catalogue.files import scene, tone

from dynmm.catalogue.content import SAMPLE_RATE, Content, Picture, Sound
from dynmm.catalogue.quality import picture_quality, quality, sound_quality, text_quality

SEEDS = st.integers(0, 1_000)


def shown(pixels: NDArray[np.uint8]) -> Picture:
    return Picture(pixels, pixels.shape[1], pixels.shape[0])


def heard(samples: NDArray[np.float64]) -> Sound:
    return Sound(np.clip(samples, -1, 1).astype(np.float32), SAMPLE_RATE, 1)


def seen_quality(image: Image.Image) -> float:
    return picture_quality(shown(np.asarray(image)))


@given(SEEDS)
@settings(max_examples=10)
def test_the_more_a_picture_is_blurred_the_lower_its_quality(seed: int) -> None:
    image = Image.fromarray(scene(300, 260, seed))
    found = [seen_quality(image.filter(ImageFilter.GaussianBlur(radius))) for radius in (0, 1, 2, 3)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.5
    assert found[-1] < 0.6 * found[0]


@given(SEEDS)
@settings(max_examples=10)
def test_the_less_contrast_the_lower_the_quality(seed: int) -> None:
    pixels = scene(240, 230, seed).astype(float)
    found = [picture_quality(shown((128 + (pixels - 128) * part).astype(np.uint8))) for part in (1, 0.5, 0.2, 0.05)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.5 * found[0]


@given(SEEDS)
@settings(max_examples=10)
def test_a_small_picture_has_less_quality_than_the_same_in_large(seed: int) -> None:
    image = Image.fromarray(scene(448, 448, seed))
    found = [seen_quality(image.resize((side, side), Image.Resampling.BOX)) for side in (448, 112, 56, 28)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("colour", [0, 1, 127, 255])
def test_a_single_colour_is_worth_nothing(colour: int) -> None:
    assert picture_quality(shown(np.full((300, 300, 3), colour, np.uint8))) == 0


def test_static_is_worth_nothing_and_specks_of_it_cost_something() -> None:
    random = np.random.default_rng(0)
    clean = scene(300, 300)
    noise = random.integers(0, 256, clean.shape, np.uint8)
    specks = np.where(random.random((300, 300, 1)) < 0.5, noise, clean)
    assert picture_quality(shown(noise)) == 0
    assert picture_quality(shown(specks)) < picture_quality(shown(clean))


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 300, 3), (300, 1, 3)])
def test_a_picture_of_a_line_is_worth_nothing(shape: tuple[int, int, int]) -> None:
    assert picture_quality(shown(np.random.default_rng(0).integers(0, 256, shape, np.uint8))) == 0


@given(st.floats(0.01, 0.9), st.floats(50, 4_000))
@settings(max_examples=20)
def test_a_longer_sound_is_worth_no_less(loudness: float, hertz: float) -> None:
    found = [sound_quality(heard(tone(seconds, hertz=hertz, loudness=loudness))) for seconds in (0.2, 1, 2, 3, 5)]
    # The loudness of a tone hangs on where its last wave is cut.
    assert all(later >= earlier - 0.01 for earlier, later in itertools.pairwise(found))
    assert found[0] < 0.1


def test_a_quieter_sound_is_worth_less_and_silence_nothing() -> None:
    found = [sound_quality(heard(tone(4, loudness=10**power))) for power in (-0.5, -1.7, -2, -2.5, -4)]
    assert found == sorted(found, reverse=True)
    assert found[0] == 1
    assert found[-1] == 0
    assert sound_quality(heard(np.zeros(64_000))) == 0
    assert sound_quality(heard(np.zeros(0))) == 0


def test_the_more_is_clipped_the_lower_the_quality() -> None:
    found = [sound_quality(heard(tone(4, loudness=gain))) for gain in (0.9, 1.5, 3, 10, 100)]
    assert found == sorted(found, reverse=True)
    assert found[0] == 1
    assert found[-1] == 0


@given(st.lists(st.text(min_size=1, max_size=8), max_size=30), st.text(max_size=8))
@settings(max_examples=50)
def test_a_word_more_never_lowers_the_quality_of_a_text(words: list[str], more: str) -> None:
    text = " ".join(words)
    assert text_quality(f"{text} {more}") >= text_quality(text)


def test_repeating_a_word_says_nothing_more() -> None:
    assert text_quality("red red RED") == text_quality("red") == pytest.approx(1 / 6)
    assert text_quality("") == text_quality("123 --- 42") == 0
    assert text_quality("a small wooden chair for the kitchen") > 0.5


def test_scripts_without_spaces_are_counted_by_their_signs() -> None:
    chinese, thai = "一把给厨房用的小木椅子", "เก้าอี้ไม้ตัวเล็ก"
    assert text_quality(chinese) == pytest.approx(11 / 16)
    assert text_quality(thai) > 0.5
    assert text_quality(chinese + "一把") == text_quality(chinese)


@given(
    st.one_of(
        st.text(max_size=100),
        SEEDS.map(lambda seed: shown(scene(40, 30, seed))),
        SEEDS.map(lambda seed: heard(np.random.default_rng(seed).normal(0, seed / 500, 5_000))),
    )
)
@settings(max_examples=40)
def test_quality_lies_between_nought_and_one(content: Content) -> None:
    assert 0 <= quality(content) <= 1
