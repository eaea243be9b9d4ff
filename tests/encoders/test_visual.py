from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.encoders.made import noise_picture, picture, plain

from dynmm.catalogue.content import Picture
from dynmm.encoders.encoder import Encoder
from dynmm.encoders.visual import SIDE, WORDS, Visual, describe, thumbnail

_VISUAL = Visual()


def words(shown: Picture) -> dict[str, float]:
    attributes = _VISUAL.encode([shown]).attributes
    assert attributes is not None
    return dict(zip(_VISUAL.attribute_names, attributes[0].tolist(), strict=True))


def holding(shown: Picture) -> set[str]:
    return {word for word, degree in words(shown).items() if degree >= 0.5}


def _ramp(height: int = 100, width: int = 160) -> NDArray[np.int64]:
    """Black at the left, white at the right."""
    return np.broadcast_to(np.linspace(0, 255, width).astype(np.int64)[:, None], (height, width, 3))


def test_it_is_an_encoder_with_the_promised_shapes() -> None:
    assert isinstance(_VISUAL, Encoder)
    encoded = _VISUAL.encode([noise_picture(), plain(9, 9, 9)])
    assert encoded.attributes is not None
    assert encoded.vectors.shape == (2, _VISUAL.width)
    assert encoded.vectors.dtype == encoded.attributes.dtype == np.float32
    assert encoded.attributes.shape == (2, len(WORDS)) == (2, len(set(_VISUAL.attribute_names)))


@settings(max_examples=25)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 9), st.integers(1, 256))
def test_any_picture_gives_numbers_of_a_usual_size(height: int, width: int, seed: int, values: int) -> None:
    shown = picture(np.random.default_rng(seed).integers(0, values, (height, width, 3)))
    encoded = _VISUAL.encode([shown])
    assert encoded.attributes is not None
    assert np.isfinite(encoded.vectors).all()
    assert np.abs(encoded.vectors).max() <= 2
    assert ((encoded.attributes >= 0) & (encoded.attributes <= 1)).all()


def test_a_row_depends_on_its_own_picture_alone() -> None:
    shown = [noise_picture(seed) for seed in range(3)]
    together = _VISUAL.encode(shown)
    for row, one in enumerate(shown):
        alone = _VISUAL.encode([one])
        assert np.array_equal(alone.vectors[0], together.vectors[row])


@pytest.mark.parametrize(
    ("colour", "word"),
    [
        ((230, 20, 20), "red"),
        ((250, 130, 10), "orange"),
        ((110, 60, 10), "brown"),
        ((250, 240, 30), "yellow"),
        ((20, 160, 40), "green"),
        ((30, 210, 210), "turquoise"),
        ((20, 40, 220), "blue"),
        ((130, 30, 200), "purple"),
        ((250, 90, 190), "pink"),
    ],
)
def test_a_plain_colour_has_its_name_and_no_other(colour: tuple[int, int, int], word: str) -> None:
    found = words(plain(*colour))
    named = {"red", "orange", "brown", "yellow", "green", "turquoise", "blue", "purple", "pink"}
    assert {name for name in named if found[name] > 0} == {word}
    assert found[word] == 1
    assert found["grey"] == 0
    assert found["plain"] == 1


def test_light_and_dark() -> None:
    assert {"dark", "grey", "plain", "low contrast"} <= holding(plain(10, 10, 10))
    assert {"bright", "grey", "plain", "low contrast"} <= holding(plain(250, 250, 250))
    assert not {"dark", "bright"} & holding(plain(120, 120, 120))


def test_brighter_is_never_darker() -> None:
    found = [words(plain(level, level, level)) for level in range(0, 256, 15)]
    dark, bright = ([one[word] for one in found] for word in ("dark", "bright"))
    assert dark == sorted(dark, reverse=True)
    assert bright == sorted(bright)


def test_warm_and_cool() -> None:
    assert "warm" in holding(plain(220, 140, 60))
    assert "cool" in holding(plain(60, 120, 220))


def test_more_colour_is_more_colourful_and_less_grey() -> None:
    found = [words(plain(128 + step, 128, 128 - step)) for step in range(0, 128, 16)]
    colourful, grey = ([one[word] for one in found] for word in ("colourful", "grey"))
    assert colourful == sorted(colourful)
    assert grey == sorted(grey, reverse=True)
    assert colourful[0] == 0
    assert colourful[-1] > 0.5
    assert (grey[0], grey[-1]) == (1, 0)


def test_a_share_of_the_picture_is_a_share_of_the_word() -> None:
    """A quarter of red: half way between the values at which the word begins and holds."""
    pixels = np.full((80, 80, 3), 128)
    pixels[:40, :40] = (255, 0, 0)
    assert words(picture(pixels))["red"] == pytest.approx(0.5)


def test_contrast() -> None:
    board = np.indices((160, 160)).sum(axis=0) // 20 % 2 * 255
    assert "high contrast" in holding(picture(np.repeat(board[..., None], 3, axis=2)))
    assert "low contrast" in holding(picture(100 + _ramp() // 10))


def test_detail_is_edges_everywhere() -> None:
    assert "detailed" in holding(noise_picture(size=(150, 150)))
    assert "detailed" not in holding(picture(_ramp()))
    assert "plain" in holding(picture(_ramp()))


def test_soft_is_without_hard_edges() -> None:
    edge = np.zeros((160, 160, 3), dtype=np.int64)
    edge[:, 75:] = 255
    assert "soft" in holding(picture(_ramp(160, 160)))
    assert "soft" not in holding(picture(edge))
    assert "soft" not in holding(plain(90, 90, 90))


def test_symmetry() -> None:
    half = np.random.default_rng(1).integers(0, 256, (100, 50, 3))
    mirrored = np.concatenate([half, half[:, ::-1]], axis=1)
    assert "symmetrical" in holding(picture(mirrored))
    assert "symmetrical" not in holding(picture(_ramp()))


def test_the_size_in_which_a_picture_is_stored_hardly_matters() -> None:
    small = np.random.default_rng(2).integers(0, 256, (40, 30, 3))
    blocks = small.repeat(4, axis=0).repeat(4, axis=1)
    twice = blocks.repeat(2, axis=0).repeat(2, axis=1)
    assert np.allclose(_VISUAL.encode([picture(blocks)]).vectors, _VISUAL.encode([picture(twice)]).vectors, atol=1e-5)


def test_a_turned_photograph_has_the_shape_that_is_seen() -> None:
    upright = picture(_ramp(200, 100))
    turned = replace(upright, width=upright.height, height=upright.width)  # as a camera stores it
    one, other = _VISUAL.encode([upright, turned]).vectors
    assert np.array_equal(one, other)


def test_a_thumbnail_is_the_mean_of_blocks() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (2 * SIDE, SIDE + 40, 3))
    small = thumbnail(pixels.astype(np.uint8), SIDE)
    assert small.shape == (3, SIDE, (SIDE + 40) // 2)
    assert small[1, 5, 7] == pytest.approx(pixels[10:12, 14:16, 1].mean() / 255, abs=1e-6)


def test_measures_by_hand() -> None:
    """Left half black, right half white: everything is known."""
    pixels = np.zeros((100, 100, 3), dtype=np.int64)
    pixels[:, 50:] = 255
    _, measures = describe(picture(pixels))
    assert measures["brightness"] == pytest.approx(0.5)
    assert measures["contrast"] == pytest.approx(1)
    assert measures["edges"] == pytest.approx(0.01)
    assert measures["mirror"] == pytest.approx(-1)
    assert measures["colourfulness"] == pytest.approx(0, abs=1e-6)


def test_colourfulness_by_hand() -> None:
    """Red and cyan halves: red less green is 1 and -1, yellow less blue .5 and -.5, so deviations are 1 and .5."""
    pixels = np.zeros((10, 10, 3), dtype=np.int64)
    pixels[:, :5] = (255, 0, 0)
    pixels[:, 5:] = (0, 255, 255)
    _, measures = describe(picture(pixels))
    assert measures["colourfulness"] == pytest.approx(np.hypot(1, 0.5), rel=1e-4)


def test_gradients_have_their_orientation() -> None:
    """Stripes across and stripes down differ in the orientation bins and nowhere near agree."""
    wave = np.broadcast_to((np.arange(128) // 8 % 2 * 255)[:, None], (128, 128, 3))
    down = _VISUAL.encode([picture(wave.transpose(1, 0, 2))]).vectors[0]
    across = _VISUAL.encode([picture(wave)]).vectors[0]
    start = 9 + 8 + 26 + 27
    assert down[start : start + 8].argmax() != across[start : start + 8].argmax()
    assert down[start : start + 8].max() > 0.9
    assert across[start : start + 8].max() > 0.9
