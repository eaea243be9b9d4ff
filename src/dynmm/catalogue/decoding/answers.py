"""What the decoding process says, checked: after a hostile file nothing that it says is trusted."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

import numpy as np

from dynmm.catalogue.content import IMAGE, Modality, Picture, Sound
from dynmm.catalogue.decoding.refused import Refused
from dynmm.catalogue.decoding.settings import DecodingSettings

_LONGEST_REASON = 200
_NONSENSE = Refused("made the decoding process answer nonsense")
_MOST = 2**31


def content_of(
    modality: Modality, header: dict[str, Any], body: bytes, settings: DecodingSettings
) -> Picture | Sound | Refused:
    """The picture or the sound of an answer, or Refused where it is none."""
    if "refused" in header:
        reason = "".join(sign for sign in str(header["refused"]) if sign.isprintable())
        told = reason[:_LONGEST_REASON] or "was refused without a reason"
        return Refused(told, lasting="passing" not in header)
    shape = header.get("shape")
    if not isinstance(shape, list) or not all(_counts(length) for length in shape):
        return _NONSENSE
    return _picture(header, body, shape, settings) if modality == IMAGE else _sound(header, body, shape)


def _picture(header: dict[str, Any], body: bytes, shape: list[int], settings: DecodingSettings) -> Picture | Refused:
    sound = len(shape) == 3 and shape[2] == 3 and header.get("dtype") == "uint8" and max(shape) <= settings.side
    width, height = header.get("width"), header.get("height")
    if not sound or math.prod(shape) != len(body) or not _counts(width) or not _counts(height):
        return _NONSENSE
    return Picture(np.frombuffer(bytearray(body), np.uint8).reshape(shape), int(width), int(height))


def _sound(header: dict[str, Any], body: bytes, shape: list[int]) -> Sound | Refused:
    rate, channels = header.get("rate"), header.get("channels")
    if len(shape) != 1 or header.get("dtype") != "float32" or 4 * shape[0] != len(body):
        return _NONSENSE
    samples = np.frombuffer(bytearray(body), np.float32)
    if not _counts(rate) or not _counts(channels) or not (np.abs(samples) <= 1).all():
        return _NONSENSE
    return Sound(samples, int(rate), int(channels))


def _counts(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MOST
