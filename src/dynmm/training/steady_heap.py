"""Keeps the C heap from handing memory back to the system while a model trains.

A training step takes and frees the same large buffers again and again. glibc serves blocks above a
threshold by mmap and gives them back on free, and it trims the top of the heap, so that each step pays for
fresh, zeroed pages: page faults can be half of the time on a CPU. Elsewhere (long-lived servers, a large
language model's forward) the same settings waste memory and cost time, hence for the training alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import platform
from collections.abc import Callable, Iterator

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -2, -3, -4

#: Grow the heap by this much at a time while it is steady.
_GROWTH = 256 << 20

#: Where glibc's own moving thresholds end up in a process that has freed one large block (mallopt(3):
#: M_MMAP_THRESHOLD rises to at most 32 MiB, M_TRIM_THRESHOLD to twice that). Setting any of them by hand stops
#: the movement for good, so this is the nearest thing to "as before".
_SETTLED = ((_M_MMAP_MAX, 65536), (_M_MMAP_THRESHOLD, 32 << 20), (_M_TRIM_THRESHOLD, 64 << 20), (_M_TOP_PAD, 128 << 10))
_STEADY = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, _GROWTH))


@contextlib.contextmanager
def steady_heap(wanted: bool = True) -> Iterator[bool]:
    """Hold freed memory in the heap within the block; yields whether it does. Nothing to do but on glibc.

    The setting belongs to the process: other threads feel it too until the block ends. After it, glibc's
    usual settings hold again and unused memory goes back to the system.
    """
    library = _glibc() if wanted else None
    if library is None:
        yield False
        return
    _set(library.mallopt, _STEADY)
    try:
        yield True
    finally:
        _set(library.mallopt, _SETTLED)
        library.malloc_trim(0)


def _set(mallopt: Callable[[int, int], int], values: tuple[tuple[int, int], ...]) -> None:
    for name, value in values:
        mallopt(name, value)


def _glibc() -> ctypes.CDLL | None:
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return None
    library = ctypes.CDLL(None)
    library.malloc_trim.argtypes = [ctypes.c_size_t]
    return library
