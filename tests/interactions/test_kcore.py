"""The k-core is the largest part in which everybody and everything has k events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm.errors import EmptyDataError
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.kcore import k_core

Pairs = list[tuple[str, str]]


def slow_core(rows: Pairs, k: int) -> Pairs:
    """The definition, row by row."""
    while True:
        users, items = Counter(u for u, _ in rows), Counter(i for _, i in rows)
        kept = [(u, i) for u, i in rows if users[u] >= k and items[i] >= k]
        if len(kept) == len(rows):
            return rows
        rows = kept


def rows_of(data: Dataset) -> Pairs:
    users, items = data.events.users.tolist(), data.events.items.tolist()
    return [(data.users.decode(u), data.items.decode(i)) for u, i in zip(users, items, strict=True)]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 6))
def test_it_is_the_fixed_point_of_the_definition(random_data: Callable[..., Dataset], seed: int, k: int) -> None:
    data = random_data(seed, users=25, items=25, events=120)
    wanted = slow_core(rows_of(data), k)
    if not wanted:
        with pytest.raises(EmptyDataError, match=f"the {k}-core"):
            k_core(data, k)
        return
    core, report = k_core(data, k)
    assert rows_of(core) == wanted
    assert np.diff(core.offsets).min() >= k
    assert core.item_counts().min() >= k
    assert core.item_table["item_id"].to_list() == list(core.items.ids)
    assert report.events == len(data.events) - len(core.events)
    assert (report.users, report.items) == (data.n_users - core.n_users, data.n_items - core.n_items)
    again, nothing = k_core(core, k)
    assert rows_of(again) == wanted
    assert nothing.events == 0


def test_what_falls_out_leaves_every_table_and_is_counted() -> None:
    rows = [("a", "x", "train"), ("a", "y", "val"), ("b", "x", "train"), ("b", "y", "test"), ("c", "z", "train")]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "split"], orient="row")
    media = pl.DataFrame({"item_id": ["x", "z"], "modality": ["image", "image"], "bytes": [b"1", b"2"]})
    data = Dataset.from_frames(frame, pl.DataFrame({"item_id": ["never"], "title": ["N"]}), media)
    core, report = k_core(data, 2)
    assert core.users.ids == ("a", "b")
    assert core.items.ids == ("x", "y")
    assert core.given_split is not None
    assert core.given_split.tolist() == ["train", "val", "train", "test"]
    assert core.media is not None
    assert core.media["item_id"].to_list() == ["x"]
    assert core.left_out == {"outside the 2-core": 1}
    assert str(report) == "2-core: removed 1 users, 2 items and 1 events in 2 rounds"
    assert k_core(data, 0)[0] is data
