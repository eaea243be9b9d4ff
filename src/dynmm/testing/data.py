"""Small data sets with a known shape, for tests of one's own parts."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from dynmm.interactions.dataset import Dataset, DatasetInfo
from dynmm.interactions.fields import ITEM, POSITION, TIME, TITLE, USER
from dynmm.randomness import generator
from dynmm.system import Query
from dynmm.types import UserHistory

#: How much a tiny data set knows about time.
TinyTime = Literal["second", "order", "none"]

_START_MS = 1_600_000_000_000
_MINUTE_MS = 60_000


def dataset_of(
    histories: list[list[int]], *, n_items: int | None = None, time: TinyTime = "second", titles: bool = False
) -> Dataset:
    """A data set with exactly these histories: user u takes the items of `histories[u]`, oldest first.

    Dense item i is i: items are declared up to `n_items`, whether or not anyone took them. The users' events
    are interleaved, one minute apart: everybody's first event, then everybody's second, and so on.
    """
    n_items = n_items if n_items is not None else 1 + max(item for items in histories for item in items)
    rows = sorted(
        ((step, user, item) for user, items in enumerate(histories) for step, item in enumerate(items)),
        key=lambda row: row[:2],
    )
    columns: dict[str, list[object]] = {
        USER: [f"u{user:05d}" for _, user, _ in rows],
        ITEM: [f"i{item:05d}" for _, _, item in rows],
    }
    if time == "second":
        columns[TIME] = [_START_MS + _MINUTE_MS * place for place in range(len(rows))]
    if time == "order":
        columns[POSITION] = [step for step, _, _ in rows]
    items: dict[str, list[object]] = {ITEM: [f"i{item:05d}" for item in range(n_items)]}
    if titles:
        items[TITLE] = [f"Item {item}" for item in range(n_items)]
    info = DatasetInfo(name="tiny", time_resolution=time)
    dataset = Dataset.from_frames(pl.DataFrame(columns), pl.DataFrame(items), info=info)
    assert dataset.items.ids == tuple(f"i{item:05d}" for item in range(n_items))
    return dataset


def tiny_dataset(
    seed: int = 0,
    users: int = 12,
    items: int = 30,
    events: int = 200,
    time: TinyTime = "second",
    *,
    sequential: float = 0.8,
    titles: bool = False,
) -> Dataset:
    """Users who walk through a catalogue with sequential structure.

    With probability `sequential` a user's next item is the one that follows the last in a secret ring of all
    items; otherwise it is drawn from a skewed popularity. Events are shared out evenly; no user repeats an item
    while there are others left. The same arguments give the same data.
    """
    draw = generator(seed, "tiny")
    after = np.roll(ring := draw.permutation(items), -1)
    follower = dict(zip(ring.tolist(), after.tolist(), strict=True))
    popular = 1.0 / (1.0 + np.arange(items))
    lengths = [events // users + (user < events % users) for user in range(users)]
    histories = []
    for length in lengths:
        history: list[int] = []
        for _ in range(length):
            fresh = popular.copy()
            fresh[history] = 0.0
            if not fresh.any():
                fresh = popular.copy()
            following = follower[history[-1]] if history else None
            if following is not None and fresh[following] and draw.random() < sequential:
                history.append(following)
            else:
                history.append(int(draw.choice(items, p=fresh / fresh.sum())))
        histories.append(history)
    return dataset_of(histories, n_items=items, time=time, titles=titles)


def without_last(dataset: Dataset) -> tuple[Dataset, list[Query], list[int]]:
    """The data less each user's last event; and what would be asked about it, and the answers.

    Users with a single event keep it, and are not asked about.
    """
    ends = dataset.offsets[1:] - 1
    asked = np.flatnonzero(np.diff(dataset.offsets) > 1)
    rows = np.ones(len(dataset.events), dtype=bool)
    rows[ends[asked]] = False
    queries = []
    for user in asked.tolist():
        whole = dataset.history(user)
        times = whole.timestamps
        past = UserHistory(whole.items[:-1], None if times is None else times[:-1])
        as_of = None if times is None or not dataset.has_time else int(times[-1])
        queries.append(Query(past, as_of, exclude=past.items))
    return dataset.keep(rows), queries, dataset.events.items[ends[asked]].tolist()
