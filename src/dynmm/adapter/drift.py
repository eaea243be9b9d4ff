"""The length of a window: shorter when ADWIN sees the loss change, longer in quiet times (Bifet and Gavalda 2007)."""

from __future__ import annotations

import importlib.util
import logging
from typing import Any

logger = logging.getLogger(__name__)

#: The window is a power of two of the configured one: a quarter of it at the shortest, twice at the longest.
_SHORTEST, _LONGEST = -2, 1
#: Windows without a change after which it grows.
_QUIET = 50


class Drift:
    """Watches the mean loss of each window. Without the library the length stays as configured."""

    def __init__(self, *, watch: bool) -> None:
        self.power, self.changes, self._quiet = 0, 0, 0
        self._seen: list[float] = []
        self._detector: Any = None
        if watch:
            self._detector = _detector()

    def copy(self) -> Drift:
        """One that goes on from here by itself."""
        twin = Drift(watch=self._detector is not None)
        twin.restore(self.state())
        return twin

    def add(self, loss: float) -> bool:
        """The mean loss of a window; True where it has changed from what it was."""
        if self._detector is None:
            return False
        self._seen.append(loss)
        self._detector.update(loss)
        if self._detector.drift_detected:
            self.changes += 1
            self._quiet, self.power = 0, max(_SHORTEST, self.power - 1)
            return True
        self._quiet += 1
        if self._quiet >= _QUIET:
            self._quiet, self.power = 0, min(_LONGEST, self.power + 1)
        return False

    def length(self, window_ms: int) -> int:
        """Milliseconds of a window now."""
        return max(1, round(window_ms * 2.0**self.power))

    def state(self) -> dict[str, Any]:
        """For a snapshot. The detector is made again from what it was told."""
        return {"power": self.power, "changes": self.changes, "quiet": self._quiet, "seen": list(self._seen)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.power, self.changes, self._quiet = state["power"], state["changes"], state["quiet"]
        self._seen = list(state["seen"])
        if self._detector is not None:
            self._detector = _detector()
            for loss in self._seen:
                self._detector.update(loss)


def _detector() -> Any:
    if importlib.util.find_spec("river") is None:
        logger.info("windows keep their length: ADWIN needs river, pip install 'dynmm[online]'")
        return None
    from river.drift import ADWIN

    return ADWIN()  # type: ignore[no-untyped-call]
