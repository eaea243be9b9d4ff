"""Windows of the adapter: when one ends, and how much of one user it teaches.

A batch may end within a window, so that the adapter learns sooner on a busy day. A user's bound holds for the window:
otherwise a flood would end batches, and buy itself more say with each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from dynmm.adapter.drift import Drift, Verdict
from dynmm.adapter.settings import AdapterSettings


class Ending(NamedTuple):
    """A boundary. counted: events up to it. verdict: on the length of windows; None where drift is not watched."""

    counted: int
    verdict: Verdict | None


class Windows:
    """The window that is open. drift: decides how long one is. since: events after the last boundary.

    ended: boundaries so far. unsettled: by number, those that are not known to stand in the log yet.
    """

    def __init__(self, settings: AdapterSettings, window_ms: int | None, *, watch: bool) -> None:
        """window_ms: as configured; None where events have no time, and each batch is a window. watch: for drift."""
        self._batch, self._most, self._window_ms = settings.batch, settings.user_events, window_ms
        self.drift = Drift(watch=watch)
        self.since, self.ended = 0, 0
        self.unsettled: dict[int, Ending] = {}
        #: Where the open window began, ms UTC; None before the first event that has a time.
        self._start: int | None = None
        self._by_user: dict[int, int] = {}

    def copy(self) -> Windows:
        """One that goes on from here by itself."""
        twin = object.__new__(Windows)
        vars(twin).update(vars(self))
        twin.drift, twin._by_user, twin.unsettled = self.drift.copy(), dict(self._by_user), dict(self.unsettled)
        return twin

    def due(self, moment: int | None, ahead: int) -> bool:
        """Whether a batch or a window ends before an event at this moment. See `OnlineAdapter.due`."""
        return self.since + ahead >= self._batch or self._over(moment)

    def room_for(self, user: int) -> bool:
        """Whether the window may still learn from this user."""
        return self._by_user.get(user, 0) < self._most

    def observe(self, user: int) -> None:
        """An event of this user is learned from."""
        self._by_user[user] = self._by_user.get(user, 0) + 1

    def count(self, events: int, moment: int | None) -> None:
        """So many events have happened. moment: of the newest, ms UTC."""
        self.since += events
        self.begin(moment)

    def begin(self, moment: int | None) -> None:
        """The first event of all, which begins the first window. moment: of it, ms UTC. Later ones change nothing."""
        if moment is not None and self._start is None and self._window_ms is not None:
            self._start = moment // self._window_ms * self._window_ms

    def end(self, moment: int | None) -> None:
        """A boundary. moment: of the event behind it, ms UTC. A late one neither ends the window nor moves it back."""
        self.since = 0
        if self._window_ms is None or self._over(moment):
            self._by_user = {}
        if moment is not None and self._window_ms is not None:
            length = self.drift.length(self._window_ms)
            start = moment // length * length
            self._start = start if self._start is None else max(start, self._start)

    def learned(self, counted: int) -> None:
        """What the boundary was for is done. counted: events so far."""
        verdict = self.drift.end(self.ended)
        self.unsettled[self.ended] = Ending(counted, verdict if self.drift.watch else None)
        self.ended += 1

    def _over(self, moment: int | None) -> bool:
        if self._window_ms is None or moment is None or self._start is None:
            return False
        return moment >= self._start + self.drift.length(self._window_ms)

    def state(self) -> dict[str, Any]:
        """For a snapshot: all but what is unsettled."""
        return {
            "drift": self.drift.state(),
            "window": self._start,
            "ended": self.ended,
            "since": self.since,
            "by_user": sorted(self._by_user.items()),
        }

    def restore(self, state: Mapping[str, Any], unsettled: Iterable[Sequence[Any]]) -> None:
        """Go on from what `state` gave. unsettled: rows of number, events counted, and a verdict or None."""
        self.unsettled = {
            number: Ending(counted, None if verdict is None else Verdict(*verdict))
            for number, counted, verdict in unsettled
        }
        self.drift.restore(state["drift"])
        self._start, self.since, self.ended = state["window"], int(state["since"]), int(state["ended"])
        self._by_user = {int(user): int(count) for user, count in state["by_user"]}
