"""A budget of time that other programs on the machine do not use up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch

#: So many times the budget may pass by the wall clock: on a busy machine work takes longer than it is.
CAP = 3.0
#: Of what is left, planned for: what follows the steps takes time, too.
_SHARE = 0.95


@dataclass(frozen=True)
class Spent:
    """Seconds of work, and by the wall clock."""

    work: float
    wall: float

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.work - other.work, self.wall - other.wall)


class Pace:
    """Seconds of work within a budget, and at most `CAP` times as many by the wall clock.

    On a processor work is this process's processor time by thread, so that the same budget buys about the same steps
    on a busy machine and on an idle one. What an accelerator does is not seen there; it counts by the wall clock.
    """

    def __init__(self, seconds: float, device: torch.device) -> None:
        """seconds: of work, from now on."""
        self._seconds, self._device = seconds, device
        self._began = self.spent()

    def spent(self) -> Spent:
        """On a clock of its own: differences count."""
        wall = time.monotonic()
        work = time.process_time() / torch.get_num_threads() if self._device.type == "cpu" else wall
        return Spent(work, wall)

    def fitting(self, steps: Sequence[Spent]) -> int:
        """How many more steps fit into what is left, if they take what these took; 0 where none does."""
        gone = self.spent() - self._began
        work = (_SHARE * self._seconds - gone.work) / max(median(one.work for one in steps), 1e-9)
        wall = (_SHARE * CAP * self._seconds - gone.wall) / max(median(one.wall for one in steps), 1e-9)
        return max(0, int(min(work, wall)))
