"""JPEG, PNG and WebP to upright RGB of bounded size. Runs in the decoding process."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np

from dynmm.catalogue.decoding.limits import CannotDecode, Decoded, Limits
from dynmm.errors import first_line

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112


def decode(raw: bytes, name: str, limits: Limits) -> Decoded:
    """The first frame of a picture: RGB over white, turned upright, its longer side at most `limits.side`.

    Raises CannotDecode.
    """
    import PIL.Image

    # Our own limit is checked on the header, before any pixel. Pillow's is eleven times as high and only warns.
    PIL.Image.MAX_IMAGE_PIXELS = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with PIL.Image.open(io.BytesIO(raw), formats=[name.upper()]) as picture:
                width, height = picture.size
                _check_size(width, height, limits)
                turn = _orientation(picture)
                pixels = _pixels(picture, turn, limits.side)
        except CannotDecode:
            raise
        except MemoryError:
            raise
        except Exception as error:  # a hostile file makes a decoder raise anything
            raise CannotDecode(f"is cut short or damaged ({first_line(error)})") from error
    return Decoded(pixels, {"width": width, "height": height})


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width < 1 or height < 1:
        raise CannotDecode(f"has {width} x {height} pixels")
    if width * height > limits.max_pixels:
        raise CannotDecode(
            f"has {width} x {height} = {width * height / 1e6:.1f} megapixels; "
            f"at most {limits.max_pixels / 1e6:g} are decoded"
        )


def _orientation(picture: Image) -> int:
    try:
        turn = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001  # broken EXIF costs the turn, not the picture
        return 1
    return turn if isinstance(turn, int) else 1


def _pixels(picture: Image, turn: int, side: int) -> np.ndarray:
    target = _scaled(picture.size, side)
    picture.draft("RGB", target)  # JPEG alone: decodes at a half, a quarter or an eighth where that is enough
    picture.load()
    rgb = _as_rgb(picture)
    if rgb.size != target:
        rgb = rgb.resize(target, _bicubic(), reducing_gap=2.0)
    return np.ascontiguousarray(np.asarray(_upright(rgb, turn), dtype=np.uint8))


def _bicubic() -> int:
    from PIL.Image import Resampling

    return Resampling.BICUBIC


def _scaled(size: tuple[int, int], side: int) -> tuple[int, int]:
    longer = max(size)
    if longer <= side:
        return size
    return max(1, round(size[0] * side / longer)), max(1, round(size[1] * side / longer))


def _as_rgb(picture: Image) -> Image:
    """Any mode to RGB: what is transparent shows white, 16 bits keep their upper 8."""
    import PIL.Image

    if picture.mode.startswith("I"):
        deep = np.clip(np.asarray(picture).astype(np.int64), 0, 65_535)
        return PIL.Image.fromarray((deep >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        seen = picture.convert("RGBA")
        white = PIL.Image.new("RGBA", seen.size, (255, 255, 255, 255))
        return PIL.Image.alpha_composite(white, seen).convert("RGB")
    return picture.convert("RGB")


def _upright(picture: Image, turn: int) -> Image:
    from PIL.Image import Transpose

    moves = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return picture.transpose(moves[turn]) if turn in moves else picture
