"""Events on their way from the log to the counts: filtered, held where their item has not come, dated, put together."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from dynmm.config import Config
from dynmm.stream.events import Entry, Event
from dynmm.types import Events

if TYPE_CHECKING:
    from dynmm.assembly.live import Live
    from dynmm.recommender import Recommender

logger = logging.getLogger(__name__)

#: Events that are counted at a time.
_PORTION = 8_192


class Waiting:
    """Events that were read and are counted together, which changes nothing but the time it takes."""

    def __init__(self, recommender: Recommender, live: Live, until: int | None) -> None:
        """until: most events since the fit that count, None for all."""
        self._recommender, self._live, self._until = recommender, live, until
        self._timed = recommender.known.has_time
        if self._live.data is None:  # read once: a configuration is checked whenever it is read
            self._live.data = Config.of(recommender.facts.get("config")).data
        data, settings = self._live.data, self._live.settings
        self._least = None if data.min_rating is None else np.float32(data.min_rating)
        self._kinds = data.kinds
        self._filters = self._least is not None or self._kinds is not None
        self._tolerance = round(1000 * settings.clock_tolerance_seconds)
        self._users: list[int] = []
        self._items: list[int] = []
        self._times: list[int] = []

    def take(self, entry: Entry) -> bool:
        """One event; it is held where its item has not come yet, and passed over where the fit would have.

        False, and nothing done, where it would be one too many that counts.
        """
        items = self._recommender.items
        event = entry.event
        if self._filters and not self._positive(event):
            self._live.passed_over += 1
            return True
        if event.item not in items:
            self._hold(entry)
            return True
        if self._until is not None and self._recommender.counted + len(self._users) >= self._until:
            return False
        self._users.append(self._recommender.users.add(event.user))
        self._items.append(items.encode(event.item))
        if self._timed:
            self._times.append(self._time(entry))
        if len(self._users) >= _PORTION:
            self.count()
        return True

    def _hold(self, entry: Entry) -> None:
        """Names that never come, in any number, must not fill the memory: the oldest goes where too many wait."""
        live = self._live
        live.held.append(entry)
        if len(live.held) <= live.settings.most_held:
            return
        del live.held[0]
        if not live.let_go:
            logger.warning(
                "more than %s events wait for items that have not come: from now on the oldest is let go for each new "
                "one, and will not count when its item comes (the log keeps it). Tell of the items with add_items, or "
                "raise stream.most_held",
                f"{live.settings.most_held:,}",
            )
        live.let_go += 1

    def _positive(self, event: Event) -> bool:
        """Whether an event passes the filters that the data of the fit went through."""
        if self._least is not None and (event.rating is None or np.float32(event.rating) < self._least):
            return False
        return self._kinds is None or event.kind in self._kinds

    def count(self) -> None:
        """Count what was taken."""
        if not self._users:
            return
        users, items = np.asarray(self._users, np.int32), np.asarray(self._items, np.int32)
        times = np.asarray(self._times, np.int64) if self._timed else None
        self._users, self._items, self._times = [], [], []
        self._recommender.replay(Events(users, items, times))

    def _time(self, entry: Entry) -> int:
        latest = entry.received + self._tolerance
        told = entry.received if entry.event.timestamp is None else entry.event.timestamp
        if told <= latest:
            return told
        self._live.late_clocks += 1
        return latest
