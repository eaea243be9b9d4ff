"""What people take lately: counts that fade, and distinct users of the last days. Only where events have times."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dynmm.configuration import Settings
from dynmm.errors import ConfigError, UnsupportedByData
from dynmm.evidence.fading import Fading
from dynmm.evidence.lately import LatelyCounts, LatelySay
from dynmm.evidence.tail import Tail
from dynmm.evidence.timeline import Timeline
from dynmm.evidence.turns import Turn
from dynmm.interactions.dataset import Dataset
from dynmm.types import Events, IntArray

_DAY_MS = 86_400_000
#: Events that wait before they are counted, read or not.
_TAIL = 4_096


class TrendSettings(Settings):
    """Over which times a trend is taken."""

    half_lives_days: tuple[float, ...] = Field((1.0, 7.0, 30.0), description="days after which an event counts half")
    days: tuple[int, ...] = Field((1, 7, 30), description="windows in which distinct users are counted, in days")
    say: int | None = Field(None, ge=1, description="items of one user in a window that count in full; all if null")


class ItemTrend:
    """Fading counts as of a moment, and distinct users of the last W days before one, by dense item.

    Reading at a moment gives what a build would that knows the same events, whatever was read before. A window
    takes in events up to and including the moment, and excludes those W whole days before it. Several threads may read
    while one learns.
    """

    def __init__(self, settings: TrendSettings, timeline: Timeline, n_items: int) -> None:
        """timeline: all events. n_items: I, at least as many as there are in it."""
        self.settings, self._timeline, self._n_items = settings, timeline, n_items
        self._tail = Tail("statistics of the trend", timed=True)
        self._turn = Turn()
        newest = int(timeline.times[-1]) if len(timeline) else 0
        items = timeline.pairs >> 32
        self._fading = {days: Fading(days * _DAY_MS, float(newest), newest) for days in settings.half_lives_days}
        self._masses: dict[float, NDArray[Any]] = {
            days: np.bincount(items, weights=fading.weights(timeline.times), minlength=n_items)
            for days, fading in self._fading.items()
        }
        self._lately = {days: LatelyCounts(timeline, days * _DAY_MS) for days in settings.days}
        say, spans = settings.say, settings.days
        self._say = {} if say is None else {days: LatelySay(timeline, days * _DAY_MS, say) for days in spans}

    @classmethod
    def of(cls, dataset: Dataset, settings: TrendSettings | None = None) -> ItemTrend:
        """From a data set. Raises UnsupportedByData where it has no timestamps."""
        times = dataset.events.timestamps
        if not dataset.has_time or times is None:
            raise UnsupportedByData("there is no trend: the data has no timestamps; leave the trend out")
        pairs = _pairs(dataset.events.items, dataset.events.users)
        return cls(settings or TrendSettings(), Timeline(times, pairs), dataset.n_items)

    @property
    def timeline(self) -> Timeline:
        """All events by time, not to be read while others learn."""
        with self._turn:
            self._settle()
            return self._timeline

    @property
    def newest(self) -> int | None:
        """Time of the newest event in ms, the moment at which things are read by default."""
        with self._turn:
            return int(self.timeline.times[-1]) if len(self.timeline) else None

    @property
    def n_items(self) -> int:
        """I."""
        with self._turn:
            self._settle()
            return self._n_items

    @property
    def nbytes(self) -> int:
        """Bytes of the state."""
        masses = sum(mass.nbytes for mass in self._masses.values())
        kept = [*self._lately.values(), *self._say.values()]
        return self._timeline.nbytes + masses + sum(one.nbytes for one in kept)

    def apart(self) -> ItemTrend:
        """A copy that advances by itself."""
        with self._turn:
            return copy.deepcopy(self)

    def append(self, events: Events) -> None:
        """Take in more events, late ones too. Raises DataError for negative ids, or where times are missing."""
        with self._turn:
            self._tail.add(events)
            if len(self._tail) >= _TAIL:
                self._settle()

    def _settle(self) -> None:
        if not len(self._tail):
            return
        events = self._tail.take()
        times = events.timestamps
        assert times is not None
        self._n_items = max(self._n_items, int(events.items.max()) + 1)
        self._timeline.add(times, _pairs(events.items, events.users))
        for days, fading in self._fading.items():
            moved = fading.meet(int(times.max()))
            mass = self._masses[days]
            if moved or len(mass) < self._n_items:
                mass = np.pad(mass, (0, self._n_items - len(mass))) * 2.0**moved
            np.add.at(mass, events.items, fading.weights(times))
            self._masses[days] = mass

    def fading_counts(self, half_life_days: float, moment: int | None = None) -> NDArray[Any]:
        """(I,) float64 events, each counting half after every half-life. moment: ms UTC, none for the newest event's.

        Every event counts, those after the moment more than once. Raises ConfigError for a half-life that is not kept.
        """
        if half_life_days not in self._masses:
            raise ConfigError(f"no counts with a half-life of {half_life_days} days: {self.settings.half_lives_days}")
        with self._turn:
            self._settle()
            counts: NDArray[Any] = self._masses[half_life_days] * self._fading[half_life_days].unit(moment)
            return counts

    def users(self, days: int, moment: int | None = None) -> NDArray[np.int64]:
        """(I,) distinct users in the last `days` before a moment. Raises ConfigError for days that are not kept."""
        with self._turn:
            return self._window(days).users(self._moment(moment), self.n_items)

    def said(self, days: int, moment: int | None = None, items: IntArray | None = None) -> NDArray[np.float64]:
        """(N,) the same users of some items, or of all, each by their say, see `LatelySay`. Nobody says anything of an
        item that is not known. items: (N,) dense. Raises ConfigError for days that are not kept."""
        window = self._window(days)
        with self._turn:
            if items is not None:
                known = items < self.n_items
                if not known.all():
                    said = np.zeros(len(items))
                    said[known] = self.said(days, moment, items[known])
                    return said
            if self._say:
                return self._say[days].said(self._moment(moment), self.n_items, items)
            users = window.users(self._moment(moment), self.n_items)
            return (users if items is None else users[items]).astype(np.float64)

    def ranks(self, days: int, moment: int | None = None) -> NDArray[np.int64]:
        """(I,) 1 and the number of items that more people took in the last `days`; equals share a rank."""
        users = self.users(days, moment)
        ascending = np.sort(users)
        return 1 + len(users) - np.searchsorted(ascending, users, side="right")

    def users_and_rank(self, item: int, days: int, moment: int | None = None) -> tuple[int, int]:
        """The same two of one item."""
        with self._turn:
            return self._window(days).users_and_rank(item, self._moment(moment), self.n_items)

    def _moment(self, moment: int | None) -> int:
        return moment if moment is not None else self.newest or 0

    def _window(self, days: int) -> LatelyCounts:
        if days not in self._lately:
            raise ConfigError(f"no users are counted over {days} days: the settings say {self.settings.days}")
        return self._lately[days]


def _pairs(items: IntArray, users: IntArray) -> NDArray[np.int64]:
    pairs: NDArray[np.int64] = (np.asarray(items, dtype=np.int64) << 32) | users
    return pairs
