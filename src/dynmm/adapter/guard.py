"""Which version serves: one that has stood the test of events it had not seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

#: Events after which what was gained counts half, so that the test is of late.
_HALF_LIFE = 2_000
#: A version serves until it is shown, at this many standard errors, to be worse than what does not move.
_ERRORS = 1.0


@dataclass(eq=False)
class Guard:
    """What versions gained over the frozen base on the windows after them, in 1 / log2(1 + rank) of an event."""

    least: int
    events: float = 0.0
    gained: float = 0.0
    squares: float = 0.0

    def add(self, gains: list[float]) -> None:
        """The candidate's less the base's, event by event, on a window that the candidate had not seen."""
        kept = 0.5 ** (len(gains) / _HALF_LIFE)
        self.events = kept * self.events + len(gains)
        self.gained = kept * self.gained + math.fsum(gains)
        self.squares = kept * self.squares + math.fsum(gain * gain for gain in gains)

    @property
    def passes(self) -> bool:
        """Whether what was tested is not worse than the base: enough events, and a mean gain that is no loss."""
        if self.events < self.least:
            return False
        mean = self.gained / self.events
        spread = math.sqrt(max(0.0, self.squares / self.events - mean * mean) / self.events)
        return mean >= -_ERRORS * spread

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return dict(vars(self))

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        vars(self).update(state)
