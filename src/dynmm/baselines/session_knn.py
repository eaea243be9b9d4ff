"""Session kNN: what was taken in the sessions that are most like the one that is asked in (Jannach, Ludewig 2017)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field

from dynmm.baselines.sessions import OpenSessions, SessionSettings, current_session, pause_ms, popular
from dynmm.interactions.dataset import Dataset
from dynmm.system import Query, Rankings
from dynmm.topk import rank_in_blocks
from dynmm.types import Events, FloatArray, IntArray

#: Popularity stays below this, and so below all but the faintest likeness.
_FAINT = 1e-3


class SessionKNNSettings(SessionSettings):
    """Session kNN."""

    neighbours: int = Field(100, ge=1, description="sessions that are most like the one that is asked in")
    sampled: int = Field(500, ge=1, description="newest sessions with one of its items that are compared")


class SessionKNN:
    """Candidates by the summed likeness of the sessions that had them.

    Likeness is the share of the current session's weight that another session had, newer items weighing more, over the
    root of the other's length. What no such session had follows in order of popularity. Each item remembers its newest
    sessions alone, so that an event costs the same however long the stream is.
    """

    name = "session-knn"
    settings_type: ClassVar[type[SessionKNNSettings]] = SessionKNNSettings
    learns_online: ClassVar[bool] = True

    def __init__(self, settings: SessionKNNSettings | None = None) -> None:
        self.settings = settings or SessionKNNSettings()
        self._start(0, 0)

    def _start(self, n_items: int, pause: int) -> None:
        self._n_items, self._pause = n_items, pause
        self._open = OpenSessions(pause, self.settings.longest)
        self._items: dict[int, dict[int, None]] = {}
        self._had: dict[int, deque[int]] = {}
        self._counts = np.zeros(n_items)

    def fit(self, dataset: Dataset) -> None:
        """Take in the sessions of the training events, in the order of time where there is one."""
        self._start(dataset.n_items, pause_ms(self.settings, dataset))
        self.learn(dataset.events.take(dataset.in_time_order()))

    def learn(self, events: Events) -> None:
        """Each event joins its session."""
        times = [None] * len(events) if events.timestamps is None else events.timestamps.tolist()
        for user, item, time in zip(events.users.tolist(), events.items.tolist(), times, strict=True):
            session, _ = self._open.take(user, item, time)
            self._counts[item] += 1
            members = self._items.setdefault(session, {})
            if item not in members:
                members[item] = None
                self._had.setdefault(item, deque(maxlen=self.settings.sampled)).append(session)

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """See `System.rank`."""
        return rank_in_blocks(self._score, queries, k, self._n_items)

    def _score(self, queries: Sequence[Query]) -> torch.Tensor:
        prior = popular(self._counts, _FAINT).astype(np.float32)
        scores = np.repeat(prior[None], len(queries), axis=0)
        for row, query in enumerate(queries):
            session = current_session(query.history, query.as_of, self._pause, self.settings.longest)
            self._add(session, scores[row])
        return torch.from_numpy(scores)

    def _add(self, session: IntArray, into: FloatArray) -> None:
        newest = list(dict.fromkeys(reversed(session.tolist())))
        weights = {item: 1.0 / (1 + place) for place, item in enumerate(newest)}
        shared: dict[int, float] = {}
        for item, weight in weights.items():
            for other in self._had.get(item, ()):
                shared[other] = shared.get(other, 0.0) + weight
        recent = sorted(shared, reverse=True)[: self.settings.sampled]
        near = sorted(((shared[one] / len(self._items[one]) ** 0.5, one) for one in recent), reverse=True)
        for likeness, other in near[: self.settings.neighbours]:
            for item in self._items[other]:
                into[item] += likeness
