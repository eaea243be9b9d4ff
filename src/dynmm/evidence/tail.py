"""Events that wait to be counted: counting many at once costs far less than one by one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import DataError
from dynmm.types import NO_TIME, Events

_Part = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64] | None]


class Tail:
    """The newest events, in the order in which they were told."""

    def __init__(self, what: str, *, timed: bool) -> None:
        """what: whose tail it is, for errors. timed: whether every event needs a time."""
        self._what, self._timed = what, timed
        self._parts: list[_Part] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, events: Events) -> None:
        """Let these wait too; they are copied. Raises DataError for negative ids, or for times that are missing."""
        users, items = np.array(events.users, dtype=np.int64), np.array(events.items, dtype=np.int64)
        if ((users | items) < 0).any():
            raise DataError(f"{self._what} were given an event with a negative user or item; give dense ids from 0")
        times = None
        if self._timed:
            if events.timestamps is None or (events.timestamps == NO_TIME).any():
                raise DataError(f"{self._what} need the time of every event")
            times = np.array(events.timestamps, dtype=np.int64)
        self._parts.append((users, items, times))
        self._length += len(users)

    def take(self) -> Events:
        """All of them; none wait any more."""
        parts, self._parts, self._length = self._parts, [], 0
        if len(parts) == 1:
            return Events(*parts[0])
        times = [times for _, _, times in parts if times is not None]
        return Events(
            np.concatenate([users for users, _, _ in parts]),
            np.concatenate([items for _, items, _ in parts]),
            np.concatenate(times) if times else None,
        )
