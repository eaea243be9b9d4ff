"""Data comes in by one door: what is accepted, in which order it stands, and what it means."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm.errors import DataError, StorageError, UnsupportedByData
from dynmm.interactions.dataset import Dataset, DatasetInfo
from dynmm.interactions.loading import data_sha256, load_dataset, write_folder

NOW = 1_600_000_000_000
EARLY = 1_000_000_000_001
DAY = 86_400_000


def events_of(dataset: Dataset) -> list[tuple[str, str]]:
    users, items = dataset.events.users.tolist(), dataset.events.items.tolist()
    return [(dataset.users.decode(u), dataset.items.decode(i)) for u, i in zip(users, items, strict=True)]


def frame(rows: list[tuple[Any, ...]], *names: str) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["user_id", "item_id", *names], orient="row")


def test_events_stand_by_user_then_time_then_position_then_row() -> None:
    rows = [
        ("b", "x", NOW + 5, 0),
        ("a", "late", NOW + 9, 0),
        ("a", "second", NOW, 1),
        ("a", "first", NOW, 0),
        ("b", "tie-1", NOW + 7, None),
        ("b", "tie-0", NOW + 7, None),
    ]
    data = Dataset.from_frames(frame(rows, "timestamp", "position"))
    wanted = [("a", "first"), ("a", "second"), ("a", "late"), ("b", "x"), ("b", "tie-1"), ("b", "tie-0")]
    assert events_of(data) == wanted
    assert data.offsets.tolist() == [0, 3, 6]
    assert data.history(1).timestamps is not None
    assert data.history(1).timestamps.tolist() == [NOW + 5, NOW + 7, NOW + 7]  # type: ignore[union-attr]


def test_positions_alone_give_the_order_and_rows_of_unknown_place_come_first(caplog: pytest.LogCaptureFixture) -> None:
    rows = [("a", "two", 2), ("a", "zero", 0), ("a", "nowhere", None), ("b", "one", 1)]
    info = DatasetInfo(time_resolution="order")
    with caplog.at_level(logging.WARNING):
        data = Dataset.from_frames(frame(rows, "position"), info=info)
    assert events_of(data) == [("a", "nowhere"), ("a", "zero"), ("a", "two"), ("b", "one")]
    assert "1 rows have no position" in caplog.text
    assert data.has_order
    assert not data.has_time


def test_the_catalogue_is_the_union_and_absent_columns_are_null() -> None:
    items = pl.DataFrame({"item_id": ["only-listed", "both"], "title": ["A", "B"], "colour": ["red", "blue"]})
    data = Dataset.from_frames(frame([("u", "both"), ("u", "only-used")]), items)
    assert data.items.ids == ("both", "only-listed", "only-used")
    assert data.item_table["title"].to_list() == ["B", "A", None]
    assert data.item_table["colour"].to_list() == ["blue", "red", None]
    assert data.item_table["categories"].to_list() == [None, None, None]
    assert data.item_counts().tolist() == [1, 0, 1]


def test_integer_ids_are_read_as_decimal_strings() -> None:
    data = Dataset.from_frames(frame([(7, 10), (7, 9)]), pl.DataFrame({"item_id": [9, 10]}))
    assert data.users.ids == ("7",)
    assert data.items.ids == ("10", "9")
    assert data.users.encode(7) == 0


@pytest.mark.parametrize(
    ("columns", "resolution"),
    [
        ({"timestamp": [NOW, NOW + 1]}, "second"),
        ({"timestamp": [20 * 365 * DAY, 20 * 365 * DAY + DAY]}, "day"),
        ({"timestamp": [NOW, None]}, "partial"),
        ({"timestamp": [NOW, None], "position": [0, 1]}, "order"),
        ({"timestamp": [None, None], "position": [0, 1]}, "order"),
        ({"timestamp": [None, None]}, "none"),
        ({}, "none"),
    ],
)
def test_the_time_resolution_follows_from_the_columns(columns: dict[str, list[int | None]], resolution: str) -> None:
    table = pl.DataFrame({"user_id": ["a", "a"], "item_id": ["x", "y"], **columns})
    assert Dataset.from_frames(table).info.time_resolution == resolution


def test_dates_are_read_as_milliseconds() -> None:
    table = frame([("a", "x")]).with_columns(pl.lit("2020-09-13").str.to_date().alias("timestamp"))
    data = Dataset.from_frames(table)
    assert data.events.timestamps is not None
    assert data.events.timestamps.tolist() == [1_599_955_200_000]
    assert data.info.time_resolution == "day"


def test_pandas_and_pyarrow_say_the_same_as_polars(random_frame: Callable[..., pl.DataFrame]) -> None:
    table = random_frame(3)
    columns = {name: table[name].to_list() for name in table.columns}
    hashes = {
        data_sha256(Dataset.from_frames(one))
        for one in (table, table.lazy(), columns, pd.DataFrame(columns), pa.table(columns))
    }
    assert len(hashes) == 1


def test_pandas_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ImportError("pyarrow is required")

    monkeypatch.setattr(pl, "from_pandas", refuse)
    table = pd.DataFrame({"user_id": ["a", "b"], "item_id": [1, 2], "timestamp": [NOW, NOW + 1], "rating": [None, 2.0]})
    data = Dataset.from_frames(table)
    assert events_of(data) == [("a", "1"), ("b", "2")]
    assert data.events.ratings is not None
    assert np.isnan(data.events.ratings[0])


def test_filters_count_what_they_leave_out() -> None:
    rows = [("a", "x", 5.0, "buy"), ("a", "y", 2.0, "buy"), ("a", "z", None, "buy"), ("b", "x", 4.0, "view")]
    data = Dataset.from_frames(frame(rows, "rating", "kind"), min_rating=3, kinds=["buy"])
    assert events_of(data) == [("a", "x")]
    assert data.left_out == {"not rated": 1, "rated below 3": 1, "other kinds than buy": 1}
    assert len(Dataset.from_frames(frame(rows, "rating", "kind"), kinds="buy").events) == 3


def test_filters_without_their_column_are_refused() -> None:
    with pytest.raises(UnsupportedByData, match="min_rating needs column 'rating'"):
        Dataset.from_frames(frame([("a", "x")]), min_rating=3)
    with pytest.raises(UnsupportedByData, match="kinds needs column 'kind'"):
        Dataset.from_frames(frame([("a", "x")]), kinds=["buy"])


def test_exact_duplicates_are_left_out_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    rows = [("a", "x", NOW, "buy"), ("a", "x", NOW, "view"), ("a", "x", NOW + 1, "buy"), ("a", "x", NOW, "buy")]
    with caplog.at_level(logging.WARNING):
        data = Dataset.from_frames(frame(rows, "timestamp", "kind"))
    assert len(data.events) == 3
    assert data.left_out == {"exact duplicates of an earlier row": 1}
    assert "left out 1 rows: exact duplicates of an earlier row" in caplog.text


def test_a_user_with_one_event_is_normal() -> None:
    data = Dataset.from_frames(frame([("only", "x", NOW)], "timestamp"))
    assert data.n_users == 1
    assert len(data.history(0)) == 1


def test_media_are_kept_as_coverage() -> None:
    media = pl.DataFrame({"item_id": ["x", "x"], "modality": ["image", "image"], "bytes": [b"1", b"2"]})
    data = Dataset.from_frames(frame([("a", "x")]), media=media)
    assert data.media is not None
    assert data.media.rows() == [("x", "image")]


def test_a_table_of_media_in_memory_holds_their_content() -> None:
    media = pl.DataFrame({"item_id": ["x"], "modality": ["image"], "path": ["x.png"]})
    with pytest.raises(DataError, match=r"'bytes' is missing.*listed by their path.*Dataset\.load"):
        Dataset.from_frames(frame([("a", "x")]), media=media)


def test_a_folder_survives_the_round_trip(tmp_path: Path, random_frame: Callable[..., pl.DataFrame]) -> None:
    items = pl.DataFrame({"item_id": ["i0", "new"], "title": ["Zero", "New"], "tags": [["a"], None]})
    info = DatasetInfo("shop", "book", "bought", "none", "CC0", "made up")
    write_folder(tmp_path / "d", random_frame(1), items, info, {"users": pl.DataFrame({"user_id": ["u1"]})})
    data = load_dataset(tmp_path / "d")
    assert data_sha256(data) == data_sha256(Dataset.from_frames(random_frame(1), items))
    assert (data.info.name, data.info.noun, data.info.time_resolution) == ("shop", "book", "second")
    assert data.folder == tmp_path / "d"
    assert (tmp_path / "d" / "users.parquet").is_file()
    said = json.loads((tmp_path / "d" / "dataset.json").read_text())
    assert said["items"] == data.n_items
    assert pl.read_parquet(tmp_path / "d" / "interactions.parquet")["position"].null_count() == 0


def test_a_folder_without_dataset_json_takes_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    frame([("a", "x", NOW)], "timestamp").write_parquet(tmp_path / "shop" / "interactions.parquet")
    data = load_dataset(tmp_path / "shop")
    assert (data.info.name, data.info.noun) == ("shop", "item")


def test_a_failed_write_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "d", frame([("a", "x")]), None, DatasetInfo("old"))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(StorageError, match="No space left"):
        write_folder(tmp_path / "d", frame([("b", "y")]), None, DatasetInfo("new"))
    assert load_dataset(tmp_path / "d").info.name == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), time=st.sampled_from(["second", "order", "none"]))
def test_neither_row_order_nor_encoding_changes_the_data(
    random_frame: Callable[..., pl.DataFrame], seed: int, time: str
) -> None:
    table = random_frame(seed, events=60, time=time).unique(["user_id", "item_id"], maintain_order=True)
    if time == "second":
        table = table.with_columns((pl.col("timestamp") + 1000 * pl.int_range(pl.len())).alias("timestamp"))
        table = table.unique(["user_id", "timestamp"])
    one, other = Dataset.from_frames(table), Dataset.from_frames(table.sample(fraction=1, shuffle=True, seed=seed))
    assert data_sha256(one) == data_sha256(other)
    assert events_of(one) == events_of(other)


def test_the_hash_sees_every_change() -> None:
    rows = [("a", "x", NOW, 3.0), ("a", "y", NOW + 1000, 4.0)]
    base = frame(rows, "timestamp", "rating")
    items = pl.DataFrame({"item_id": ["x"], "title": ["X"]})
    variants = [
        Dataset.from_frames(base),
        Dataset.from_frames(base, items),
        Dataset.from_frames(base, items.with_columns(title=pl.lit("Y"))),
        Dataset.from_frames(base.with_columns(pl.col("timestamp") + 1)),
        Dataset.from_frames(base.with_columns(pl.col("rating") + 1)),
        Dataset.from_frames(base.with_columns(user_id=pl.lit("b"))),
        Dataset.from_frames(base.with_columns(split=pl.lit("train"))),
        Dataset.from_frames(base.with_columns(item_id=pl.lit("z"))),
    ]
    assert len({data_sha256(one) for one in variants}) == len(variants)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from([EARLY, EARLY + 1, EARLY + DAY, EARLY + 6 * 10**12]),
            st.one_of(st.none(), st.integers(0, 2), st.integers(0, 2**31 - 1)),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_order_is_that_of_a_stable_sort_however_wide_the_keys(rows: list[tuple[str, int, int | None]]) -> None:
    table = frame([(u, f"i{k}", t, p) for k, (u, t, p) in enumerate(rows)], "timestamp", "position")
    wanted = sorted(table.rows(), key=lambda row: (row[0], row[2], -1 if row[3] is None else row[3]))
    assert events_of(Dataset.from_frames(table)) == [(user, item) for user, item, _, _ in wanted]


@pytest.mark.parametrize(("weights", "told"), [([1.0, 2.0, None], True), ([2.0, 2.0, None], False)])
def test_weights_that_nothing_reads_are_told_once(
    caplog: pytest.LogCaptureFixture, weights: list[float | None], told: bool
) -> None:
    rows = [("a", "x", weights[0]), ("a", "y", weights[1]), ("b", "x", weights[2])]
    data = Dataset.from_frames(frame(rows, "weight"))
    assert data.events.weights is not None
    words = [one.message for one in caplog.records if "weight" in one.message]
    assert len(words) == told
    assert all("every event counts alike" in one for one in words)
