"""Products whose bits do not hang on how many processors there are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# The number of threads belongs to the process: somebody who gave it back would take it from others meanwhile.
_TURN = threading.RLock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread meanwhile: with more, sums are split otherwise, and round otherwise.

    One at a time in a process; others wait. Whoever computes beside it may be slower for as long.
    """
    with _TURN:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
