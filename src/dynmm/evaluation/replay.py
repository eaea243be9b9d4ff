"""A stream as questions: what each event's user could be asked just before it, with nothing later in sight.

Shapes: N events of the stream, G steps (events that are scored together before any of them is learned).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import EmptyDataError, UnsupportedByData
from dynmm.interactions.dataset import HARDLY_ANY_REPEATS, Dataset
from dynmm.interactions.histories import Histories
from dynmm.interactions.windows import tie_groups, windows
from dynmm.system import Query
from dynmm.types import Events, IntArray

#: `event`: histories and counts advance after each event. `window`: nothing advances within a window.
Mode = Literal["event", "window"]

_EMPTY = np.empty(0, np.int32)


@dataclass(frozen=True, eq=False)
class Stream:
    """base: everything before the stream, on which systems were fitted. events: what is replayed, in time
    order. bounds: (G+1,) step g is `events[bounds[g]:bounds[g+1]]`. spans: (start, end) in ms UTC of the W
    windows with events. windows: (N,) number of each event's window, below W. exclude_history: whether a
    user's history is left out of the candidates, since training repeats only repeat_share of its events."""

    base: Dataset
    events: Events
    bounds: NDArray[np.int64]
    mode: Mode
    spans: list[tuple[int, int]]
    windows: NDArray[np.int64]
    exclude_history: bool
    repeat_share: float

    @property
    def times(self) -> IntArray:
        """(N,) int64 ms UTC, ascending."""
        assert self.events.timestamps is not None
        return self.events.timestamps

    @classmethod
    def of(cls, base: Dataset, events: Events, *, mode: Mode = "event", window: str | int = "1h") -> Stream:
        """Events by time; equal timestamps keep their order and form one step, or one window does.

        window: its length, "1h", "1d" or in ms. Raises ConfigError for a bad one, UnsupportedByData without
        timestamps, EmptyDataError without events.
        """
        if events.timestamps is None:
            raise UnsupportedByData("a stream needs a timestamp on every event; use `full` or `holdout` instead")
        if not len(events):
            raise EmptyDataError("the stream has no event to replay")
        events = events.take(np.argsort(events.timestamps, kind="stable"))
        assert events.timestamps is not None
        cut = list(windows(events, window))
        firsts = np.array([*(one.first for one in cut), len(events)], dtype=np.int64)
        bounds = tie_groups(events) if mode == "event" else firsts
        spans, numbers = [(one.start, one.end) for one in cut], np.repeat(np.arange(len(cut)), np.diff(firsts))
        share = base.repeat_share()
        return cls(base, events, bounds, mode, spans, numbers, share < HARDLY_ANY_REPEATS, share)

    def steps(self) -> NDArray[np.int64]:
        """(N,) the step of each event."""
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))

    def apart(self) -> dict[str, NDArray[np.bool_]]:
        """Events that are counted and also listed apart, name -> (N,) mask.

        first_event: the user had no event before. target_unseen: nobody had the item before, so it is no
        candidate and counts as a miss. target_in_history: the user had it before. possible: what any system
        that ranks its candidates could have hit.
        """
        steps, users, items = self.steps(), self.events.users.astype(np.int64), self.events.items
        n_items = self.base.n_items
        before = self.base.events
        first = _is_new(users, before.users, steps)
        unseen = _is_new(items, before.items, steps)
        pairs = users * n_items + items
        again = ~_is_new(pairs, before.users.astype(np.int64) * n_items + before.items, steps)
        possible = ~unseen & ~(again & self.exclude_history)
        return {"first_event": first, "target_unseen": unseen, "target_in_history": again, "possible": possible}


def _is_new(keys: IntArray, known: IntArray, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) True where a key is neither known before the stream nor met in an earlier step."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return np.asarray((steps == steps[first][inverse]) & ~np.isin(keys, known))


class Replay:
    """The evaluator's own record of a stream so far: histories and the catalogue, which it puts into queries."""

    def __init__(self, stream: Stream) -> None:
        self._histories = Histories(stream.base)
        self._seen = stream.base.item_counts() > 0
        self._exclude_history = stream.exclude_history
        self._candidates = self._list_candidates()

    def query(self, user: int, moment: int) -> Query:
        """What would this user take at this moment? Candidates are the items that anybody has had so far."""
        history = self._histories.of(user)
        return Query(history, moment, self._candidates, history.items if self._exclude_history else _EMPTY)

    def advance(self, events: Events) -> None:
        """These events have happened: later queries know of them, earlier ones stay as they were."""
        self._histories.append(events)
        if not self._seen[events.items].all():
            self._seen[events.items] = True
            self._candidates = self._list_candidates()

    def _list_candidates(self) -> IntArray | None:
        return None if self._seen.all() else np.flatnonzero(self._seen).astype(np.int32)
