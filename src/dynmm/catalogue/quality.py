"""How much a text, a picture or a sound can tell, in [0, 1], without labels: what the gate reads beside presence.

Each quality is made of parts in [0, 1] that a person can check. None is learned.
"""

from __future__ import annotations

import numpy as np

from dynmm.catalogue.content import Content, Picture, Sound
from dynmm.catalogue.texts import spaced
from dynmm.types import FloatArray

#: A text of as many distinct words is worth half.
_HALF_WORDS = 5
#: Pictures of this side and more, in pixels, lack nothing: it is what image encoders read.
_FULL_SIDE = 224
#: The variance of the Laplacian (brightness in [0, 1]) at which sharpness is worth half. Posters have about .03,
#: and .003 when they are blurred by one pixel.
_HALF_SHARP = 0.002
#: The standard deviation of brightness from which contrast lacks nothing. Posters have .2 to .35.
_FULL_CONTRAST = 0.2
#: Variance of the Laplacian over variance of brightness. Posters have .1 to 2, thumbnails up to 5; white noise 20.
_STATIC_FROM, _STATIC_TO = 6.0, 16.0
#: A sound of so many seconds lacks nothing.
_FULL_SECONDS = 3.0
#: Loudness (root mean square) in dB of full scale that is worth nothing, and that lacks nothing.
_SILENT_DB, _LOUD_DB = -60.0, -30.0
#: From this amplitude a sample counts as clipped, and the shares of such samples where a sound begins to lose, and
#: is worth nothing. A sine at full scale has .09.
_CLIPPED, _CLIPPED_FROM, _CLIPPED_TO = 0.99, 0.1, 0.8

_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def quality(content: Content) -> float:
    """The quality of any content; see the function of its kind."""
    if isinstance(content, Picture):
        return picture_quality(content)
    if isinstance(content, Sound):
        return sound_quality(content)
    return text_quality(content)


def text_quality(text: str) -> float:
    """n / (n + 5), where n is the number of distinct words with a letter in them; a sign of a script without
    spaces is a word."""
    words = {word for word in spaced(text.lower()).split() if any(sign.isalpha() for sign in word)}
    return len(words) / (len(words) + _HALF_WORDS)


def picture_quality(picture: Picture) -> float:
    """Cube root of (resolution x sharpness x contrast), times what is not static; 0 for a single colour.

    resolution: sqrt(width x height), as stored, over 224 pixels. sharpness: v / (v + .002), v the variance of the
    Laplacian of the brightness. contrast: standard deviation of the brightness over .2. Static is where v is more
    than 6 times the variance of the brightness; at 16 times, short of white noise, nothing is left.
    """
    resolution = min(1.0, float(np.sqrt(picture.width * picture.height)) / _FULL_SIDE)
    brightness = (picture.pixels.astype(np.float32) / 255) @ _GREY
    if min(brightness.shape) < 3:
        return 0.0
    edges = float(_laplacian(brightness).var())
    variance = float(brightness.var())
    # Rounding leaves a single colour with a variance of some 1e-14.
    if variance < 1e-9:
        return 0.0
    sharpness = edges / (edges + _HALF_SHARP)
    contrast = min(1.0, float(np.sqrt(variance)) / _FULL_CONTRAST)
    calm = 1 - _ramp(edges / variance, _STATIC_FROM, _STATIC_TO)
    return float(np.cbrt(resolution * sharpness * contrast)) * calm


def sound_quality(sound: Sound) -> float:
    """length x loudness x what is not clipped; 0 for silence.

    length: seconds over 3. loudness: root mean square, from 0 at -60 dB of full scale to 1 at -30 dB. Clipped are
    samples beyond .99; a tenth of them costs nothing, as a loud pure tone has so many, and with eight tenths nothing
    is left.
    """
    samples = sound.samples.astype(np.float64)
    power = float(np.mean(samples**2)) if len(samples) else 0.0
    if power == 0:
        return 0.0
    length = min(1.0, sound.seconds / _FULL_SECONDS)
    loudness = _ramp(10 * float(np.log10(power)), _SILENT_DB, _LOUD_DB)
    clipped = float(np.mean(np.abs(samples) >= _CLIPPED))
    return length * loudness * (1 - _ramp(clipped, _CLIPPED_FROM, _CLIPPED_TO))


def _laplacian(grey: FloatArray) -> FloatArray:
    """(H-2, W-2) four times each inner pixel less its four neighbours."""
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return 4 * grey[1:-1, 1:-1] - around


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high`, a straight line between."""
    return min(1.0, max(0.0, (value - low) / (high - low)))
