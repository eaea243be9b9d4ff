"""An adapter over a small frozen space, and events for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dynmm.adapter.online import OnlineAdapter
from dynmm.adapter.settings import AdapterSettings
from dynmm.protocols import VectorSpace
from dynmm.system import Query
from dynmm.types import FloatArray, IntArray, UserHistory

ITEMS, WIDTH, HOUR = 40, 8, 3_600_000


class Circle:
    """A frozen space: items on random places, a user stands near their newest item."""

    width = WIDTH

    def __init__(self, n_items: int = ITEMS) -> None:
        draws = torch.Generator().manual_seed(0)
        self.item_vectors = torch.nn.functional.normalize(torch.randn(n_items, WIDTH, generator=draws), dim=-1)

    def user_vectors(self, histories: Sequence[UserHistory]) -> Tensor:
        rows = [self.item_vectors[int(one.items[-1])] if len(one) else torch.zeros(WIDTH) for one in histories]
        return 5 * torch.stack(rows)


def adapter_of(space: Circle | None = None, **changes: Any) -> OnlineAdapter:
    space = space or Circle()
    named = {
        "half_life": 50,
        "dims": 4,
        "hidden": 16,
        "near": 8,
        "negatives": 12,
        "guard_events": 20,
        "step_events": 8,
        "learning_rate": 0.01,
    }
    settings = AdapterSettings.model_validate({**named, "drift": False, **changes})
    return OnlineAdapter(space, space.item_vectors, settings, 1, window_ms=HOUR)


def events_of(count: int, seed: int = 0) -> list[tuple[int, int, int]]:
    """(user, item, time): whatever users had, they now take one of three items."""
    draws = np.random.default_rng(seed)
    return [(int(draws.integers(0, 12)), int(draws.integers(0, 3)), n * HOUR // 10) for n in range(count)]


class Products:
    """A question to nothing but vectors."""

    def __init__(self, query: Query) -> None:
        self.query = query

    def user(self, space: VectorSpace) -> Tensor:
        return space.user_vectors([self.query.history])

    def best(self, space: VectorSpace, k: int) -> IntArray:
        scores = self.user(space)[0] @ space.item_vectors.t()
        best: IntArray = scores.argsort(descending=True)[:k].numpy()
        return best

    def beside(self, items: IntArray) -> FloatArray:
        return np.zeros(len(items))


class Driver:
    """Feeds an adapter as the assembly does."""

    def __init__(self, adapter: OnlineAdapter) -> None:
        self.adapter = adapter
        self.histories = {user: [user % ITEMS] for user in range(12)}

    def feed(self, events: list[tuple[int, int, int]]) -> Driver:
        for user, item, time in events:
            if self.adapter.due(time):
                self.adapter.boundary(time)
            if self.adapter.wants(self.adapter.counted, user):
                past = UserHistory(np.asarray(self.histories[user], np.int32))
                self.adapter.observe(user, item, Products(Query(past, time)))
            self.adapter.count(np.asarray([item]), time)
            self.histories[user].append(item)
        return self


def ends_of(adapter: OnlineAdapter) -> list[int]:
    """Events counted at each boundary."""
    return [one.counted for one in adapter.windows.unsettled.values()]
