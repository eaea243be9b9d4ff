"""Co-occurrence: what shared a session with the user's last item (a rule of StreamingRec, Jugovac et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
import torch

from dynmm.baselines.pairtable import PairTable
from dynmm.baselines.sessions import OpenSessions, SessionSettings, pause_ms, popular
from dynmm.interactions.dataset import Dataset
from dynmm.system import Query, Rankings
from dynmm.topk import rank_in_blocks
from dynmm.types import Events


class StreamingCooccurrence:
    """Candidates by how often they shared a session with the item that the user took last.

    What never did follows in order of popularity. An event adds one to as many pairs as its session has items, at most
    `longest`, whatever the catalogue.
    """

    name = "streaming-cooccurrence"
    settings_type: ClassVar[type[SessionSettings]] = SessionSettings
    learns_online: ClassVar[bool] = True

    def __init__(self, settings: SessionSettings | None = None) -> None:
        self.settings = settings or SessionSettings()
        self._start(0, 0)

    def _start(self, n_items: int, pause: int) -> None:
        self._n_items, self._pause = n_items, pause
        self._pairs = PairTable(sp.csr_matrix((n_items, n_items)))
        self._sessions = OpenSessions(pause, self.settings.longest)
        self._counts = np.zeros(n_items)

    def fit(self, dataset: Dataset) -> None:
        """Count the sessions of the training events."""
        self._start(dataset.n_items, pause_ms(self.settings, dataset))
        self.learn(dataset.events)

    def learn(self, events: Events) -> None:
        """Count one event after the other; events of one user must come in their order."""
        times = [None] * len(events) if events.timestamps is None else events.timestamps.tolist()
        for user, item, time in zip(events.users.tolist(), events.items.tolist(), times, strict=True):
            _, before = self._sessions.take(user, item, time)
            self._counts[item] += 1
            for earlier in before:
                if earlier != item:
                    self._pairs.add(earlier, item, 1.0)
                    self._pairs.add(item, earlier, 1.0)
            self._pairs.tidy()

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """See `System.rank`."""
        return rank_in_blocks(self._score, queries, k, self._n_items)

    def _score(self, queries: Sequence[Query]) -> torch.Tensor:
        scores = np.repeat(popular(self._counts, 1.0)[None], len(queries), axis=0)
        for row, query in enumerate(queries):
            for item in query.history.items[-1:].tolist():
                self._pairs.accumulate(item, 1.0, scores[row])
        return torch.from_numpy(scores.astype(np.float32))
