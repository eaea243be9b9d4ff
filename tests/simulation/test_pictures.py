"""Pictures are what their look says, and their PNG is one that others read."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from dynmm.simulation.pictures import LOOK, paint, png

Pixels = NDArray[np.uint8]


def painted(traits: Mapping[str, float], seed: int = 0, side: int = 64) -> Pixels:
    """A picture with the middle of every trait but those given."""
    look = np.array([traits.get(name, 0.5) for name in LOOK])
    return paint(look, side, np.random.default_rng(seed))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_a_png_is_read_back_pixel_by_pixel(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    with Image.open(io.BytesIO(png(pixels))) as read:
        assert (read.format, read.mode, read.size) == ("PNG", "RGB", (width, height))
        assert np.array_equal(np.asarray(read), pixels)


@given(st.lists(st.floats(0, 1), min_size=len(LOOK), max_size=len(LOOK)), st.integers(16, 96), st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_any_look_can_be_painted_again(traits: list[float], size: int, seed: int) -> None:
    one, again = (paint(np.array(traits), size, np.random.default_rng(seed)) for _ in range(2))
    assert one.shape == (size, size, 3)
    assert one.dtype == np.uint8
    assert np.array_equal(one, again)
    assert one.std() > 0


def test_another_picture_of_the_same_look_differs_in_its_pixels_and_not_in_its_colours() -> None:
    one, other, unlike = painted({}), painted({}, seed=1), painted({"hue": 0.0, "brightness": 0.9})
    assert not np.array_equal(one, other)
    medians = [np.median(pixels.reshape(-1, 3), axis=0) for pixels in (one, other, unlike)]
    assert np.abs(medians[0] - medians[1]).max() < 25
    assert np.abs(medians[0] - medians[2]).max() > 60


def energy(pixels: Pixels) -> tuple[float, float]:
    """How much the light changes from left to right, and from top to bottom."""
    down, across = np.gradient(pixels.mean(axis=2))
    return float(np.abs(across).mean()), float(np.abs(down).mean())


def corner(pixels: Pixels) -> NDArray[np.float64]:
    colour: NDArray[np.float64] = np.median(pixels.reshape(-1, 3), axis=0)
    return colour


@pytest.mark.parametrize(
    ("trait", "measure"),
    [
        ("brightness", lambda pixels: corner(pixels).max()),
        ("colourfulness", lambda pixels: np.ptp(corner(pixels)) / corner(pixels).max()),
        ("frequency", lambda pixels: sum(energy(pixels))),
        ("contrast", lambda pixels: sum(energy(pixels))),
        ("hue", lambda pixels: corner(pixels)[2] - corner(pixels)[0]),
    ],
)
def test_a_trait_is_seen(trait: str, measure: Callable[[Pixels], float]) -> None:
    quiet = {"shapes": 0.0, "size": 0.0}
    seen = [measure(painted({**quiet, trait: value}, side=96)) for value in (0.05, 0.5, 0.95)]
    assert seen == sorted(seen)
    assert seen[-1] > seen[0] + 0.15 * abs(seen[0])


def test_stripes_turn() -> None:
    upright, across = (energy(painted({"shapes": 0.0, "orientation": turn})) for turn in (0.0, 0.625))
    assert upright[0] > 2 * upright[1]
    assert across[1] > 2 * across[0]


def covered(**traits: float) -> float:
    """Share of the picture whose hue is the shapes' and not the ground's."""
    picture = painted({"hue": 0.0, "accent": 1.0, "contrast": 0.0, "colourfulness": 1.0, **traits}).astype(int)
    return float((picture[..., 0] < picture[..., 1:].max(axis=2)).mean())


def test_shapes_are_more_and_larger() -> None:
    assert 0 < covered(shapes=0.0) < covered(shapes=1.0)
    assert covered(size=0.0) < covered(size=1.0)
    assert covered(roundness=0.0) < covered(roundness=1.0)
