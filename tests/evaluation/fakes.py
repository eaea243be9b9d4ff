"""Small data sets and systems that can be read at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from dynmm.interactions.cases import Cases
from dynmm.interactions.dataset import Dataset, DatasetInfo
from dynmm.interactions.fields import ITEM, ITEM_SCHEMA
from dynmm.interactions.vocabulary import Vocabulary
from dynmm.system import Query, Rankings
from dynmm.topk import rank_in_blocks
from dynmm.types import Events

Row = tuple[int, int, int]


def dataset(rows: Sequence[Row], *, n_users: int | None = None, n_items: int | None = None) -> Dataset:
    """From (user, item, time in ms), in any order."""
    ordered = sorted(rows, key=lambda row: (row[0], row[2]))
    users, items, times = (np.array(column) for column in zip(*ordered, strict=True))
    n_users = n_users or int(users.max()) + 1
    n_items = n_items or int(items.max()) + 1
    ids = [f"i{item}" for item in range(n_items)]
    columns = {ITEM: ids, **{name: [None] * n_items for name in ITEM_SCHEMA if name != ITEM}}
    offsets = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=n_users))]).astype(np.int64)
    return Dataset(
        DatasetInfo(time_resolution="second"),
        Vocabulary([f"u{user}" for user in range(n_users)]),
        Vocabulary(ids),
        Events(users.astype(np.int32), items.astype(np.int32), times.astype(np.int64)),
        offsets,
        pl.DataFrame(columns, schema=ITEM_SCHEMA),
    )


def random_rows(n: int, n_users: int, n_items: int, *, seed: int = 0, start: int = 0, ties: int = 3) -> list[Row]:
    """Distinct (user, item) pairs at ascending times; `ties` events share each moment."""
    rng = np.random.default_rng(seed)
    pairs = rng.permutation(n_users * n_items)[:n]
    return [
        (int(pair // n_items), int(pair % n_items), start + 1_000 * (place // ties)) for place, pair in enumerate(pairs)
    ]


def events(rows: Sequence[Row]) -> Events:
    users, items, times = (np.array(column) for column in zip(*rows, strict=True))
    return Events(users.astype(np.int32), items.astype(np.int32), times.astype(np.int64))


def cases(histories: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> Cases:
    """One case per user, in order."""

    def flat(parts: Sequence[Sequence[int]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        joined = np.array([item for part in parts for item in part], np.int32)
        return joined, np.cumsum([0, *map(len, parts)]).astype(np.int64)

    history_items, history_offsets = flat(histories)
    target_items, target_offsets = flat(targets)
    users = np.arange(len(histories), dtype=np.int32)
    return Cases(users, history_items, history_offsets, target_items, target_offsets)


class Fixed:
    """Scores every item by a given number, the same for everyone. Learns nothing."""

    learns_online = False

    def __init__(self, scores: Sequence[float] | NDArray[Any], name: str = "fixed") -> None:
        self.name = name
        self._scores = torch.tensor(np.asarray(scores), dtype=torch.float32)

    def fit(self, dataset: Dataset) -> None: ...

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        return rank_in_blocks(lambda block: self._scores.repeat(len(block), 1), queries, k, len(self._scores))

    def learn(self, events: Events) -> None: ...


class Counting:
    """Ranks items by how often it has seen them, in training and since."""

    def __init__(self, name: str = "counting") -> None:
        self.name = name
        self.counts = np.zeros(0)

    def fit(self, dataset: Dataset) -> None:
        self.counts = dataset.item_counts().astype(np.float64)

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        scores = torch.tensor(self.counts, dtype=torch.float32)
        return rank_in_blocks(lambda block: scores.repeat(len(block), 1), queries, k, len(self.counts))

    def learn(self, events: Events) -> None:
        self.counts += np.bincount(events.items, minlength=len(self.counts))


class CountingHistory(Counting):
    """Popularity, plus one for each item next to the user's last one: so histories matter. Static."""

    learns_online = False

    def learn(self, events: Events) -> None: ...

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        def score(block: Sequence[Query]) -> torch.Tensor:
            rows = np.tile(self.counts, (len(block), 1))
            for row, query in enumerate(block):
                if len(query.history):
                    rows[row, (query.history.items[-1] + np.arange(1, 4)) % len(self.counts)] += len(query.history)
            return torch.tensor(rows, dtype=torch.float32)

        return rank_in_blocks(score, queries, k, len(self.counts))
