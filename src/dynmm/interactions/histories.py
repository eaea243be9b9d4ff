"""The newest history of every user: a fixed base plus what has happened since."""

from __future__ import annotations

from array import array

import numpy as np

from dynmm.interactions.dataset import Dataset
from dynmm.types import NO_TIME, Events, UserHistory


class Histories:
    """Histories by dense user, oldest event first. Users behind the base appear with their first event.

    Several threads may read while one adds.
    """

    def __init__(self, base: Dataset) -> None:
        self._base = base
        #: Items and times of each user since the base: 12 bytes an event.
        self._since: dict[int, tuple[array[int], array[int]]] = {}

    def of(self, user: int) -> UserHistory:
        """The user's events so far; empty for a user without any."""
        base = self._base.history(user) if user < self._base.n_users else UserHistory()
        since = self._since.get(user)
        if since is None:
            return base
        # Copies, each in one step: an array that numpy looks into cannot grow. Times first, for an item is added before
        # its time: one that comes between the two copies is left out.
        times, taken = np.frombuffer(since[1].tobytes(), np.int64), np.frombuffer(since[0].tobytes(), np.int32)
        items = np.concatenate([base.items, taken[: len(times)]])
        if self._base.events.timestamps is None:
            return UserHistory(items)
        before = base.timestamps if base.timestamps is not None else np.empty(0, np.int64)
        return UserHistory(items, np.concatenate([before, times]))

    def append(self, events: Events) -> None:
        """Add events in the order given."""
        times = events.timestamps if events.timestamps is not None else np.full(len(events), NO_TIME)
        for user, item, time in zip(events.users.tolist(), events.items.tolist(), times.tolist(), strict=True):
            found = self._since.get(user)
            if found is None:
                found = self._since[user] = (array("i"), array("q"))
            found[0].append(item)
            found[1].append(time)
