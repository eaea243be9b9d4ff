"""Handcrafted picture descriptors, without weights: colour, light, layout and texture, and words for them.

Pictures are looked at as thumbnails of at most `SIDE` pixels, so that the numbers do not depend on the size
in which a picture was stored. Values are fractions or small numbers around zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dynmm.catalogue.content import IMAGE, Content, Modality, Picture
from dynmm.encoders.attributes import Ramp, Word, degrees
from dynmm.encoders.encoder import Encoded

#: Longest side of the thumbnail, in pixels.
SIDE = 160
#: Texture is measured on the thumbnail and on two smaller ones.
SCALES = (1, 2, 4)
#: A pixel is coloured where largest less smallest channel exceeds the first value, fully from the second on.
COLOURED = (0.1, 0.3)
#: Brightness falls by more than this over one pixel at an edge.
EDGE = 0.1
#: Where each colour begins, in degrees of hue; it ends where the next begins. Red begins again at the end.
HUES = (("red", 0), ("orange", 15), ("yellow", 45), ("green", 70), ("turquoise", 165), ("blue", 190), ("purple", 255))
HUES_TO_RED = (("pink", 310), ("red", 345))
#: Orange darker than this in its largest channel is called brown.
BROWN = 0.6
COLOURS = ("red", "orange", "brown", "yellow", "green", "turquoise", "blue", "purple", "pink")

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_ORIENTATIONS, _HUE_BINS, _LIGHT_BINS, _SATURATION_BINS, _CELLS = 8, 12, 8, 4, 3

Plane = NDArray[np.float32]


def _colour_word(colour: str) -> Word:
    return Word(colour, f"a good part of the picture is {colour}", (Ramp(f"share of {colour}", 0.1, 0.4),))


#: brightness: mean luma. contrast: luma between the 5th and the 95th percentile. colourfulness: Hasler and
#: Süsstrunk (2003), divided by 255. coloured: share of coloured pixels. edges: share of pixels on an edge.
#: warmth: mean of red less blue. sharpness: log2 of fine over coarse gradient energy (even light -4, a hard
#: edge -2, noise 4). mirror: correlation with the picture mirrored left to right.
WORDS: tuple[Word, ...] = (
    Word("dark", "mostly black or deep shadow", (Ramp("brightness", 0.4, 0.2),)),
    Word("bright", "mostly white or light colours", (Ramp("brightness", 0.55, 0.75),)),
    Word("colourful", "strong colours", (Ramp("colourfulness", 0.13, 0.32),)),
    Word("grey", "hardly any colour: black, grey and white", (Ramp("coloured", 0.25, 0.05),)),
    *(_colour_word(colour) for colour in COLOURS),
    Word("warm", "reds and yellows outweigh blues", (Ramp("warmth", 0.05, 0.2),)),
    Word("cool", "blues outweigh reds", (Ramp("warmth", -0.05, -0.2),)),
    Word("high contrast", "deep shadow beside bright light", (Ramp("contrast", 0.6, 0.85),)),
    Word("low contrast", "all of it about equally light", (Ramp("contrast", 0.4, 0.2),)),
    Word("detailed", "edges almost everywhere", (Ramp("edges", 0.15, 0.4),)),
    Word("plain", "large even areas, few edges", (Ramp("edges", 0.08, 0.02),)),
    Word("soft", "blurred, without hard edges", (Ramp("sharpness", -2.4, -3.4), Ramp("contrast", 0.05, 0.15))),
    Word("symmetrical", "left mirrors right", (Ramp("mirror", 0.6, 0.9), Ramp("contrast", 0.05, 0.15))),
)


class Visual:
    """107 numbers and 21 words for a picture, from its pixels alone. Needs no weights and no libraries."""

    modality: Modality = IMAGE
    attribute_names: tuple[str, ...] = tuple(word.name for word in WORDS)
    identity = "visual-2"
    width = 107

    def encode(self, contents: Sequence[Content]) -> Encoded:
        """contents: B pictures. Returns vectors (B, 107) and attributes (B, 21), in the order of `WORDS`."""
        described = [describe(content) for content in contents if isinstance(content, Picture)]
        assert len(described) == len(contents), "an image encoder is given pictures"
        vectors = np.stack([vector for vector, _ in described])
        return Encoded(vectors, np.stack([degrees(WORDS, measures) for _, measures in described]))


def describe(picture: Picture) -> tuple[NDArray[np.float32], Mapping[str, float]]:
    """The vector of a picture, (107,), and the measures that `WORDS` speak of."""
    small = thumbnail(picture.pixels, SIDE)
    red, green, blue = small
    luma, red_green, yellow_blue = _luma(small), red - green, (red + green) / 2 - blue
    opponent = np.stack([luma, red_green, yellow_blue])
    colours, shares = _colours(small)
    textures, edges, sharpness = _textures(luma)
    measures = {
        "brightness": float(luma.mean()),
        "contrast": float(np.subtract(*np.percentile(luma, [95, 5]))),
        "colourfulness": _colourfulness(red_green, yellow_blue),
        "warmth": float((red - blue).mean()),
        "edges": edges,
        "sharpness": sharpness,
        "mirror": _correlation(luma, luma[:, ::-1]),
        **shares,
    }
    single = [
        measures["contrast"],
        measures["colourfulness"],
        sharpness / 4,
        _entropy(luma),
        measures["mirror"],
        _correlation(luma, luma[::-1]),
        float(np.clip(np.log2(picture.pixels.shape[1] / picture.pixels.shape[0]), -2, 2)) / 2,
    ]
    light = _shares(luma, _LIGHT_BINS)
    return np.concatenate(
        [_moments(opponent), light, colours, _layout(opponent), textures, single], dtype=np.float32
    ), measures


def thumbnail(pixels: NDArray[np.uint8], side: int) -> Plane:
    """(H, W, 3) uint8 to (3, h, w) in [0, 1], h and w at most `side`: means of whole blocks of pixels.

    What is left over beyond the last whole block, at the right and at the bottom, is cut off.
    """
    height, width = pixels.shape[:2]
    block = -(-max(height, width) // side)
    down, across = min(block, height), min(block, width)
    rows, columns = height // down, width // across
    total = np.zeros((rows, columns, 3), dtype=np.uint32)
    for top in range(down):
        for left in range(across):
            total += pixels[top : rows * down : down, left : columns * across : across]
    planes = np.ascontiguousarray(total.transpose(2, 0, 1), dtype=np.float32)
    planes /= 255 * down * across
    return planes


def _luma(small: Plane) -> Plane:
    """Brightness as the eye weighs it (ITU-R BT.601), (h, w)."""
    luma: Plane = np.tensordot(_LUMA, small, axes=1)
    return luma


def _moments(planes: Plane) -> Plane:
    """Mean, deviation and the cube root of the third moment of each plane, (9,)."""
    flat = planes.reshape(len(planes), -1)
    mean = flat.mean(axis=1)
    off = flat - mean[:, None]
    return np.concatenate([mean, flat.std(axis=1), np.cbrt((off * off * off).mean(axis=1))])


def _colours(small: Plane) -> tuple[Plane, dict[str, float]]:
    """Saturation and hue histograms and colour shares, (26,), and the shares by name."""
    most, least = small.max(axis=0), small.min(axis=0)
    chroma = most - least
    saturation = chroma / np.maximum(most, np.float32(1e-6))
    weight = np.clip((chroma - COLOURED[0]) / (COLOURED[1] - COLOURED[0]), 0, 1).astype(np.float32)
    hue = _hue(small, most, chroma)
    bands = [*HUES, *HUES_TO_RED]
    which = np.searchsorted([start for _, start in bands], hue, side="right") - 1
    band_shares = np.bincount(which.ravel(), weight.ravel(), minlength=len(bands)) / weight.size
    shares = dict.fromkeys(COLOURS, 0.0)
    for (colour, _), share in zip(bands, band_shares, strict=True):
        shares[colour] += float(share)
    orange = next(place for place, (colour, _) in enumerate(bands) if colour == "orange")
    shares["brown"] = float((weight * (which == orange) * (most < BROWN)).mean())
    shares["orange"] -= shares["brown"]
    hues = np.bincount((hue / (360 / _HUE_BINS)).astype(np.int64).ravel(), weight.ravel(), minlength=_HUE_BINS)
    vector = [_shares(saturation, _SATURATION_BINS), hues / weight.size, list(shares.values()), [weight.mean()]]
    named = {f"share of {colour}": share for colour, share in shares.items()}
    return np.concatenate(vector), {**named, "coloured": float(weight.mean())}


def _hue(small: Plane, most: Plane, chroma: Plane) -> Plane:
    """Degrees in [0, 360), 0 for greys."""
    red, green, blue = small
    safe = np.where(chroma > 0, chroma, np.float32(1))
    sixth = np.where(most == red, (green - blue) / safe, 4 + (red - green) / safe)
    sixth = np.where((most == green) & (most != red), 2 + (blue - red) / safe, sixth)
    degrees_of_hue = (60 * sixth) % 360
    # The remainder of a tiny negative number rounds up to 360 itself.
    return np.where((chroma > 0) & (degrees_of_hue < 360), degrees_of_hue, np.float32(0))


def _colourfulness(red_green: Plane, yellow_blue: Plane) -> float:
    """Hasler and Süsstrunk, Measuring colourfulness in natural images (2003), on channels in [0, 1]."""
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def _layout(planes: Plane) -> Plane:
    """The mean of each plane in each cell of a 3 x 3 grid, (27,)."""
    rows, columns = (_cuts(size) for size in planes.shape[1:])
    cells = [planes[:, top:bottom, left:right].mean(axis=(1, 2)) for top, bottom in rows for left, right in columns]
    return np.concatenate(cells)


def _cuts(size: int) -> list[tuple[int, int]]:
    starts = [part * size // _CELLS for part in range(_CELLS)]
    return [(start, max(start + 1, (part + 1) * size // _CELLS)) for part, start in enumerate(starts)]


def _textures(luma: Plane) -> tuple[Plane, float, float]:
    """Orientations, gradient energy and edges at each scale, (30,); edges and sharpness of the finest."""
    vectors, energies, edges = [], [], []
    for scale in SCALES:
        histogram, energy, share = _gradients(_pooled(luma, scale))
        vectors.append(histogram)
        energies.append(energy)
        edges.append(share)
    finest, coarsest = energies[0] + 1e-9, energies[-1] + 1e-9
    sharpness = float(np.clip(np.log2(finest / coarsest), -4, 4))
    return np.concatenate([*vectors, np.sqrt(energies), edges]), edges[0], sharpness


def _pooled(luma: Plane, scale: int) -> Plane:
    down, across = min(scale, luma.shape[0]), min(scale, luma.shape[1])
    rows, columns = luma.shape[0] // down, luma.shape[1] // across
    blocks = luma[: rows * down, : columns * across].reshape(rows, down, columns, across)
    pooled: Plane = blocks.mean(axis=(1, 3))
    return pooled


def _gradients(luma: Plane) -> tuple[Plane, float, float]:
    """Share of the gradient in each of 8 orientations, mean squared gradient, share of pixels on an edge."""
    along = np.diff(luma, axis=1, append=luma[:, -1:])
    down = np.diff(luma, axis=0, append=luma[-1:])
    squared = along**2 + down**2
    size = np.sqrt(squared)
    # An orientation has no sign; bins are centred on horizontal, diagonal and vertical.
    turned = np.arctan2(down, along) / np.pi * _ORIENTATIONS + 0.5
    bins = np.floor(turned).astype(np.int64) % _ORIENTATIONS
    histogram = np.bincount(bins.ravel(), size.ravel(), minlength=_ORIENTATIONS)
    # So that faint grain on an even area does not count as a texture.
    return histogram / (size.sum() + 0.01 * size.size), float(squared.mean()), float((size > EDGE).mean())


def _shares(values: Plane, bins: int) -> Plane:
    """Histogram of values in [0, 1], adding up to 1."""
    places = np.minimum((values * bins).astype(np.int64), bins - 1)
    return (np.bincount(places.ravel(), minlength=bins) / values.size).astype(np.float32)


def _entropy(luma: Plane) -> float:
    """Of the histogram of 32 grey levels, divided by its largest possible value."""
    shares = _shares(luma, 32)
    kept = shares[shares > 0]
    return float(-(kept * np.log2(kept)).sum() / 5)


def _correlation(one: Plane, other: Plane) -> float:
    """Of two planes with the same values in another order; 0 where all are equal."""
    off = one - one.mean()
    variance = float((off**2).mean())
    return float((off * (other - other.mean())).mean() / variance) if variance > 1e-6 else 0.0
