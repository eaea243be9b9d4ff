"""The length of a window: shorter when ADWIN sees the loss change, longer in quiet times (Bifet and Gavalda 2007).

What was decided at a boundary stands in the log, and a replay takes it from there. So a run that was written where the
library is can be replayed where it is not, and the other way round.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

logger = logging.getLogger(__name__)

#: The window is a power of two of the configured one: a quarter of it at the shortest, twice at the longest.
_SHORTEST, _LONGEST = -2, 1
#: Windows without a change after which it grows.
_QUIET = 50
#: Losses that are kept, the newest; twice as many are never there. A detector is made again from these alone.
_KEPT = 2_048


class Verdict(NamedTuple):
    """What was decided up to a boundary. power: of two, of the configured length. changes: seen so far. quiet: windows
    since the last step."""

    power: int = 0
    changes: int = 0
    quiet: int = 0


class Drift:
    """Watches the mean loss of each window. Without the library the length stays as it is."""

    def __init__(self, *, watch: bool) -> None:
        self.watch, self.verdict = watch, Verdict()
        #: By number of the boundary, what the log says was decided there.
        self.told: dict[int, Verdict] = {}
        self._seen: list[float] = []
        # Made when it is needed: a run that never learns needs no library, and hears nothing of it.
        self._detector: Any = None
        self._ready = False

    def copy(self) -> Drift:
        """One that goes on from here by itself."""
        twin = Drift(watch=self.watch)
        twin.restore(self.state())
        twin.told = dict(self.told)
        return twin

    def ready(self) -> None:
        """Load the library, which takes a second or more: better before events come than while they wait."""
        if self._ready or not self.watch:
            return
        self._ready, self._detector = True, _detector()
        if self._detector is not None:
            for loss in self._seen:
                self._detector.update(loss)

    def add(self, loss: float) -> None:
        """The mean loss of a window."""
        if not self.watch:
            return
        self.ready()
        self._seen.append(loss)
        if self._detector is not None:
            self._detector.update(loss)
            self.verdict = self._decided(self._detector.drift_detected)
        if len(self._seen) == 2 * _KEPT:
            self._look_again(self._seen[-_KEPT:])

    def _decided(self, changed: bool) -> Verdict:
        power, changes, quiet = self.verdict
        if changed:
            return Verdict(max(_SHORTEST, power - 1), changes + 1, 0)
        if quiet + 1 >= _QUIET:
            return Verdict(min(_LONGEST, power + 1), changes, 0)
        return Verdict(power, changes, quiet + 1)

    def end(self, number: int) -> Verdict:
        """The verdict at the end of a boundary: the log's where it has one."""
        self.verdict = self.told.pop(number, self.verdict)
        return self.verdict

    def length(self, window_ms: int) -> int:
        """Milliseconds of a window now."""
        return max(1, round(window_ms * 2.0**self.verdict.power))

    def state(self) -> dict[str, Any]:
        """For a snapshot. The detector is made again from what it was told."""
        return {"verdict": list(self.verdict), "seen": list(self._seen)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.verdict = Verdict(*state["verdict"])
        self._look_again(state["seen"])

    def _look_again(self, seen: Iterable[float]) -> None:
        self._seen, self._detector, self._ready = list(seen), None, False


def _detector() -> Any:
    if importlib.util.find_spec("river") is None:
        _warn_once()
        return None
    from river.drift import ADWIN

    return ADWIN()  # type: ignore[no-untyped-call]


@functools.cache
def _warn_once() -> None:
    logger.warning(
        "adapter.drift is on, and windows keep their length all the same: ADWIN needs river, pip install "
        "'dynmm[online]'; or set adapter.drift=false"
    )
