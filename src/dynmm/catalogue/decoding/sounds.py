"""WAV, FLAC and OGG to mono at the one rate. Runs in the decoding process."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.catalogue.content import SAMPLE_RATE
from dynmm.catalogue.decoding.limits import CannotDecode, Decoded, Limits
from dynmm.errors import first_line

#: Beyond these a header is nonsense, and resampling would cost far more than the file is worth.
_RATES = (1_000, 400_000)
_MAX_CHANNELS = 64
_BLOCK_FRAMES = 65_536

#: From here on a length in a header says that it was not known.
_UNKNOWN = 0x7FFF_0000


def decode(raw: bytes, name: str, limits: Limits) -> Decoded:
    """The whole sound, its channels averaged, resampled to `SAMPLE_RATE`, cut off at [-1, 1].

    A sound with a sample that is no finite number is refused: what is left of it would be a guess.
    Raises CannotDecode.
    """
    import soundfile

    if name == "wav":
        _check_length(raw)
    try:
        with soundfile.SoundFile(io.BytesIO(raw)) as sound:
            rate, channels = int(sound.samplerate), int(sound.channels)
            _check_header(int(sound.frames), rate, channels, limits)
            mono = _mono(sound, rate, limits)
    except CannotDecode:
        raise
    except MemoryError:
        raise
    except Exception as error:  # a hostile file makes a decoder raise anything
        # Without the address of our buffer, which differs from run to run.
        why = first_line(error).rpartition(">: ")[2]
        raise CannotDecode(f"is cut short or damaged ({why})") from error
    if not len(mono):
        raise CannotDecode("has no samples")
    if not np.isfinite(mono).all():
        raise CannotDecode("holds samples that are no finite numbers")
    samples = np.clip(_resampled(np.clip(mono, -1, 1), rate), -1, 1).astype(np.float32)
    return Decoded(samples, {"rate": rate, "channels": channels})


def _check_header(frames: int, rate: int, channels: int, limits: Limits) -> None:
    if frames == 0:
        raise CannotDecode("has no samples")
    if not _RATES[0] <= rate <= _RATES[1]:
        raise CannotDecode(f"says {rate} samples a second; {_RATES[0]} to {_RATES[1]} are taken")
    if channels > _MAX_CHANNELS:
        raise CannotDecode(f"has {channels} channels; at most {_MAX_CHANNELS} are taken")
    if frames > limits.max_seconds * rate:
        raise CannotDecode(f"says it lasts {frames / rate:.1f} s; at most {limits.max_seconds:g} s are decoded")


def _mono(sound: Any, rate: int, limits: Limits) -> NDArray[np.float32]:
    """(S,) the mean of the channels, read in blocks, so that many channels never lie in memory together."""
    blocks: list[NDArray[np.float32]] = []
    frames = 0
    while len(block := sound.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
        frames += len(block)
        if frames > limits.max_seconds * rate:
            raise CannotDecode(f"lasts longer than its header says, and than {limits.max_seconds:g} s")
        blocks.append(block.mean(axis=1))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def _resampled(mono: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    if rate == SAMPLE_RATE:
        return mono
    from scipy.signal import resample_poly

    common = math.gcd(SAMPLE_RATE, rate)
    return np.asarray(resample_poly(mono, SAMPLE_RATE // common, rate // common), np.float32)


def _check_length(raw: bytes) -> None:
    """A WAV's chunks say how long they are; the library takes what is there of a file cut short for a shorter sound."""
    place = 12
    while place + 8 <= len(raw):
        chunk, length = raw[place : place + 4], int.from_bytes(raw[place + 4 : place + 8], "little")
        if chunk == b"data":
            # A writer to a pipe does not know the length, and says 0 or the largest that there is.
            if length < _UNKNOWN and place + 8 + length > len(raw):
                have, said = len(raw) - place - 8, length
                raise CannotDecode(f"is cut short ({have:,} of {said:,} bytes of sound are there)")
            return
        place += 8 + length + length % 2
