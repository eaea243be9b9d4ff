"""What moves with the events besides counts: the adapter, which learns the residual of all other stages."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from torch import Tensor

from dynmm.adapter.lessons import Asked
from dynmm.adapter.online import OnlineAdapter
from dynmm.adapter.settings import AdapterSettings
from dynmm.backbone.system import Backbone
from dynmm.config import Config
from dynmm.fusion.joint import Joint
from dynmm.interactions.dataset import HARDLY_ANY_REPEATS, Dataset
from dynmm.interactions.histories import Histories
from dynmm.interactions.windows import parse_duration, usual_window, window_starts
from dynmm.protocols import VectorSpace
from dynmm.recommender import Recommender
from dynmm.storage import named_disk_errors, write_json
from dynmm.system import Query
from dynmm.types import Events, UserHistory

ARRAYS_FILE, CARD_FILE = "adapter.safetensors", "adapter.json"

_NOBODY = np.empty(0, np.int32)


class Moving:
    """Drives an adapter event by event, whatever portions the events come in."""

    def __init__(
        self, adapter: OnlineAdapter, known: Dataset, *, together: bool = False, asked_by: str | None = None
    ) -> None:
        """known: the events that are the users' histories at the start. together: events of one moment that come in
        one call are all observed before the first is counted, as an evaluation asks about them. asked_by: length of a
        window, as 1h; histories of what is observed then end where its window begins, as in a run that advances by
        windows. Counts are those of the moment all the same: they do not wait for a window to end."""
        self.adapter, self._together, self._asked_by = adapter, together, asked_by
        self._histories = Histories(known)
        self._exclude = known.repeat_share() < HARDLY_ANY_REPEATS

    @property
    def space(self) -> VectorSpace:
        """The vectors that serve."""
        return self.adapter.space

    @property
    def version(self) -> int:
        """The version that serves, 0 for the base as it is."""
        return self.adapter.version

    @property
    def versions(self) -> tuple[int, ...]:
        """Versions that can be gone back to."""
        return self.adapter.versions

    def learn(
        self,
        events: Events,
        ask: Callable[[Query], Asked],
        count: Callable[[Events], None],
    ) -> None:
        """Observe each event on the state before it, then count it.

        ask: what the other stages say to a question. count: what else counts.
        """
        adapter, start = self.adapter, 0
        times = [None] * len(events) if events.timestamps is None else events.timestamps.tolist()
        users, items = events.users.tolist(), events.items.tolist()
        known_until = self._known_until(events, times)

        def pass_by(end: int) -> None:
            nonlocal start
            if end > start:
                passed = events.take(slice(start, end))
                count(passed)
                self._histories.append(passed)
                adapter.count(passed.items, None if times[end - 1] is None else max(times[start:end]))
            start = end

        # Before any is counted: those that are not observed are counted together, as they come.
        adapter.windows.begin(next(iter(times), None))
        for row, (user, item, time) in enumerate(zip(users, items, times, strict=True)):
            again = self._together and row > start and time is not None and time == times[row - 1]
            if not again and adapter.due(time, ahead=row - start):
                pass_by(row)
                adapter.boundary(time)
            if adapter.wants(adapter.counted + row - start, user):
                if not again:
                    pass_by(row)
                history = _before(self._histories.of(user), known_until[row])
                query = Query(history, time, exclude=history.items if self._exclude else _NOBODY)
                adapter.observe(user, item, ask(query))
        pass_by(len(events))

    def _known_until(self, events: Events, times: list[int | None]) -> list[int | None]:
        """Up to when the history of each one's user is known: its moment, or where its window begins."""
        if events.timestamps is None or self._asked_by is None:
            return times
        starts: list[int | None] = window_starts(events.timestamps.astype(np.int64), self._asked_by).tolist()
        return starts

    def remember(self, events: Events) -> None:
        """Put events into the histories that were counted before a stop."""
        self._histories.append(events)

    def roll_back(self, version: int) -> None:
        """Serve an earlier version."""
        self.adapter.roll_back(version)

    def with_items(self, base: VectorSpace) -> Moving:
        """One that goes on from here with items that came; histories are shared."""
        twin = copy.copy(self)
        twin.adapter = self.adapter.with_items(base, collaborative_of(base))
        return twin

    def save(self, folder: Path) -> None:
        """Write everything that moves. Raises StorageError."""
        arrays = {name: np.ascontiguousarray(one) for name, one in self.adapter.arrays().items()}
        with named_disk_errors(folder):
            save_file(arrays, folder / ARRAYS_FILE)
        write_json(folder / CARD_FILE, self.adapter.card())

    def load(self, folder: Path) -> None:
        """Go on from what `save` wrote. Raises OSError, ValueError, KeyError or SafetensorError."""
        self.adapter.restore(load_file(folder / ARRAYS_FILE), json.loads((folder / CARD_FILE).read_bytes()))

    def sha256(self) -> str:
        """Of everything that moves."""
        return self.adapter.sha256()


def _before(history: UserHistory, time: int | None) -> UserHistory:
    """What was known at a moment: events of one moment, or window, are asked about together and do not know of each
    other."""
    if time is None or history.timestamps is None:
        return history
    earlier = history.timestamps < time
    return history if earlier.all() else UserHistory(history.items[earlier], history.timestamps[earlier])


def moving_of(
    space: VectorSpace,
    known: Dataset,
    settings: AdapterSettings,
    seed: int,
    *,
    together: bool = False,
    asked_by: str | None = None,
) -> Moving | None:
    """A fresh adapter over a fitted stage of vectors. None where it is off, or nothing is known to move from.

    known: the events that are the users' histories. together, asked_by: see `Moving`.
    """
    if settings.variant == "off" or not len(space.item_vectors):
        return None
    window = usual_window(known) if settings.window == "auto" else settings.window
    window_ms = parse_duration(window) if known.has_time else None
    adapter = OnlineAdapter(space, collaborative_of(space), settings, seed, window_ms=window_ms)
    return Moving(adapter, known, together=together, asked_by=asked_by)


def moving_for(
    recommender: Recommender, space: VectorSpace, *, window: str | None = None, together: bool = False
) -> Moving | None:
    """A fresh adapter as the run is configured, see `moving_of`.

    window: of what is replayed; the adapter's own holds where `adapter.window` names one.
    """
    config, seed = Config.of(recommender.facts.get("config")), int(recommender.facts["seeds"][0])
    settings, asked_by = config.adapter, config.split.stream_window
    if window is not None and settings.window == "auto":
        settings = settings.model_copy(update={"window": window})
    return moving_of(space, recommender.known, settings, seed, together=together, asked_by=asked_by)


def collaborative_of(space: VectorSpace) -> Tensor:
    """(I, D) what is known of items from interactions; for those that nobody took, what their content lets guess."""
    if isinstance(space, Joint):
        return space.collaborative
    assert isinstance(space, Backbone), "vectors come from one of two stages"
    return space.item_vectors
