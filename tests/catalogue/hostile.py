"""Decoding functions that do what a hostile file could make a decoder do. Run in the decoding process alone."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time

import numpy as np

from dynmm.catalogue.content import AUDIO, IMAGE
from dynmm.catalogue.decoding.formats import Format
from dynmm.catalogue.decoding.limits import CannotDecode, Decoded, Limits

FORMAT = Format("hostile", IMAGE, ((0, b"EVIL"),), "tests.catalogue.hostile:decode", ("numpy",), "vision", ("evil",))
SOUND = Format("hostile", AUDIO, ((0, b"EVIL"),), "tests.catalogue.hostile:decode", ("numpy",), "audio", ("evil",))
MISSING = Format("missing", IMAGE, ((0, b"MISS"),), "tests.catalogue.hostile:nothing", ("numpy",), "vision", ("x",))
NO_LIBRARY = Format("rare", IMAGE, ((0, b"RARE"),), "tests.catalogue.hostile:decode", ("no_such",), "vision", ("x",))


def decode(raw: bytes, name: str, limits: Limits) -> Decoded:
    match raw[4:].decode():
        case "hang":
            time.sleep(1_000)
        case "compute":
            while True:
                pass
        case "allocate":
            return Decoded(np.zeros((100_000, 100_000), np.uint8), {})
        case "segfault":
            faulthandler.disable()
            os.kill(os.getpid(), signal.SIGSEGV)
        case "leave":
            os._exit(0)
        case "print":
            print("noise on the output")
            sys.stdout.flush()
        case "raise":
            raise CannotDecode("bell\x07 " + "x" * 1_000)
        case "nonsense":
            os.write(_answers(), b"\xff" * 1_000)
            time.sleep(1_000)
        case "wrong shape":
            return Decoded(np.zeros((2, 2, 3), np.uint8), {"width": 1, "height": 1, "shape": [1, 1, 3]})
        case "too large":
            return Decoded(np.zeros((limits.side + 1, 1, 3), np.uint8), {"width": 1, "height": 1})
        case "no number":
            return Decoded(np.full(10, np.nan, np.float32), {"rate": 1, "channels": 1})
    return Decoded(np.zeros((2, 2, 3), np.uint8), {"width": 2, "height": 2})


def _answers() -> int:
    """The pipe to the parent: the highest descriptor that is open for writing frames."""
    pipes = [
        number
        for number in map(int, os.listdir("/proc/self/fd"))
        if number > 2 and os.path.exists(f"/proc/self/fd/{number}")
    ]
    return next(number for number in sorted(pipes) if "pipe" in os.readlink(f"/proc/self/fd/{number}") and number != 3)
