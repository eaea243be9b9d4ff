"""Sessions: a user's events with no long pause between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dynmm.configuration import Settings
from dynmm.interactions.dataset import Dataset
from dynmm.types import FloatArray, IntArray, UserHistory

_MINUTE_MS = 60_000
_DAY_MS = 86_400_000


class SessionSettings(Settings):
    """What a session is."""

    pause_minutes: float = Field(30.0, gt=0, description="a longer pause begins a new session; a day on daily data")
    longest: int = Field(50, ge=1, description="newest events of a session that count")


def pause_ms(settings: SessionSettings, dataset: Dataset) -> int:
    """The pause that ends a session. On data that knows days alone, those of one day are a session."""
    if dataset.info.time_resolution == "day":
        return _DAY_MS - 1
    return round(settings.pause_minutes * _MINUTE_MS)


def current_session(history: UserHistory, moment: int | None, pause: int, longest: int) -> IntArray:
    """Items of the session that a question is asked in, oldest first; the newest item where a new one begins.

    moment: of the question, None for right behind the newest event. Without times every event is of one session.
    """
    items = history.items[-longest:]
    if history.timestamps is None or not len(items):
        return items
    times = np.asarray(history.timestamps[-longest:], np.int64)
    ends = np.append(times[1:], times[-1] if moment is None else moment)
    pauses = np.flatnonzero(ends - times > pause)
    start = int(pauses[-1]) + 1 if len(pauses) else 0
    return items[start:] if start < len(items) else items[-1:]


def popular(counts: FloatArray, below: float) -> NDArray[np.float64]:
    """(I,) what orders items that a rule says nothing of: their counts, scaled to stay below its faintest score."""
    return np.asarray(counts * (below / (1.0 + counts.max(initial=0.0))), dtype=np.float64)


class OpenSessions:
    """The session that each user is in, as the stream goes on."""

    def __init__(self, pause: int, longest: int) -> None:
        self._pause, self._longest = pause, longest
        self._open: dict[int, tuple[int, int, list[int]]] = {}
        self._n_sessions = 0

    def take(self, user: int, item: int, time: int | None) -> tuple[int, list[int]]:
        """The number of the session that this event belongs to, and the items that it had before."""
        now = 0 if time is None else time
        number, last, items = self._open.get(user, (-1, now, []))
        if number < 0 or now - last > self._pause:
            number, items = self._n_sessions, []
            self._n_sessions += 1
        before = list(items)
        items.append(item)
        del items[: -self._longest]
        self._open[user] = (number, now, items)
        return number, before
