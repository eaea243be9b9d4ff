"""Bad input: each kind gives one clear error that names the place and the mend, or is skipped and counted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dynmm.errors import DataError, EmptyDataError
from dynmm.interactions.dataset import Dataset, DatasetInfo
from dynmm.interactions.loading import load_dataset, write_folder

NOW = 1_600_000_000_000
TIMES = [NOW, NOW + 1, NOW + 2]
GOOD: dict[str, list[Any]] = {"user_id": ["a", "a", "b"], "item_id": ["x", "y", "x"], "timestamp": TIMES}


def with_column(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({**GOOD, **columns}, strict=False)


def folder_of(tmp_path: Path, table: pl.DataFrame, said: str | None = None) -> Path:
    table.write_parquet(tmp_path / "interactions.parquet")
    if said is not None:
        (tmp_path / "dataset.json").write_text(said)
    return tmp_path


# column values, the words of the error, what skip_bad counts
BAD_ROWS: list[tuple[dict[str, list[Any]], str, str]] = [
    ({"user_id": ["a", None, "b"]}, "row 1, column 'user_id': None is no id; fill it in", "empty user_id"),
    ({"item_id": ["x", "y", " "]}, "row 2, column 'item_id': ' ' is no id; fill it in", "empty item_id"),
    ({"rating": [1.0, float("nan"), 2.0]}, "row 1, column 'rating': nan is not a finite", "non-finite rating"),
    ({"rating": [float("inf"), 1.0, 2.0]}, "row 0, column 'rating': inf is not a finite", "non-finite rating"),
    ({"weight": [1.0, 1.0, float("-inf")]}, "row 2, column 'weight': -inf is not a finite", "non-finite weight"),
    ({"weight": [1.0, -1.0, 1.0]}, "row 1, column 'weight': -1.0 is below zero", "negative weight"),
    ({"position": [0, -4, 0]}, "row 1, column 'position': -4 is below zero", "negative position"),
    ({"timestamp": [NOW, -5, NOW]}, "row 1, column 'timestamp': -5 is not between", "timestamp out of range"),
    (
        {"timestamp": [NOW, NOW, 1_600_000_000]},
        "row 2, column 'timestamp': 1600000000 is not",
        "timestamp out of range",
    ),
    ({"split": ["train", "later", "test"]}, "row 1, column 'split': 'later' is no part", "unknown split"),
    ({"split": ["train", None, "test"]}, "row 1, column 'split': None is no part", "unknown split"),
]


@pytest.mark.parametrize(("columns", "words", "reason"), BAD_ROWS)
def test_a_bad_row_is_named_or_skipped_and_counted(columns: dict[str, list[Any]], words: str, reason: str) -> None:
    table = with_column(**columns)
    with pytest.raises(DataError, match=re.escape(f"interactions, {words}")) as caught:
        Dataset.from_frames(table)
    assert "skip-bad" in str(caught.value)
    data = Dataset.from_frames(table, skip_bad=True)
    assert len(data.events) == 2
    assert data.left_out == {reason: 1}


@pytest.mark.parametrize(
    ("factor", "mend"),
    [
        (1e-3, "looks like seconds .*multiply by 1000"),
        (1e3, "looks like microseconds .*divide by 1000"),
        (1e6, "looks like nanoseconds .*divide by 1,000,000"),
    ],
)
@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_wrong_unit_of_time_is_recognised(factor: float, mend: str, skip_bad: bool) -> None:
    table = with_column(timestamp=[int(moment * factor) for moment in TIMES])
    with pytest.raises(DataError, match=rf"column 'timestamp': \d+ cannot be milliseconds.*{mend}"):
        Dataset.from_frames(table, skip_bad=skip_bad)


def test_numbers_that_are_no_time_are_sent_to_position() -> None:
    with pytest.raises(DataError, match="write it to 'position'"):
        Dataset.from_frames(with_column(timestamp=[0, 1, 2]))


@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_a_missing_column_is_named(column: str) -> None:
    with pytest.raises(DataError, match=rf"interactions: column '{column}' is missing \(columns: .*\); add it"):
        Dataset.from_frames(with_column().drop(column))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"user_id": [0.5, 1.5, 2.5]}, "column 'user_id': 0.5 is Float64, text or whole numbers are due"),
        ({"timestamp": ["2020-01-01"] * 3}, "column 'timestamp': '2020-01-01' is String, whole numbers are due"),
        ({"timestamp": [NOW + 0.5, 1.0, 2.0]}, "column 'timestamp': 1600000000000.5 is not a whole number"),
        ({"position": [0, 1, 2**40]}, "row 2, column 'position': 1099511627776 does not fit Int32"),
        ({"rating": ["five", "four", "one"]}, "column 'rating': 'five' is String, numbers are due"),
        ({"kind": [1, 2, 3]}, "column 'kind': 1 is Int64, text are due"),
    ],
)
def test_a_wrong_type_is_named(columns: dict[str, list[Any]], words: str) -> None:
    with pytest.raises(DataError, match=re.escape(words)):
        Dataset.from_frames(with_column(**columns))


def test_a_nested_or_long_value_is_told_on_one_line() -> None:
    with pytest.raises(DataError) as caught:
        Dataset.from_frames(pl.DataFrame({"user_id": [["a" * 500]], "item_id": ["x"]}))
    assert re.search(r"row 0, column 'user_id': \['a{75}\.\.\. is List", str(caught.value))
    assert "\n" not in str(caught.value)


def test_no_rows() -> None:
    with pytest.raises(EmptyDataError, match="there are no rows"):
        Dataset.from_frames(with_column().clear())
    with pytest.raises(EmptyDataError, match="no row is left"):
        Dataset.from_frames(pl.DataFrame({"user_id": ["", ""], "item_id": ["x", "y"]}), skip_bad=True)
    with pytest.raises(EmptyDataError, match="no row is left after the filters"):
        Dataset.from_frames(with_column(rating=[1.0, 1.0, 1.0]), min_rating=4)


def test_a_kind_that_never_occurs() -> None:
    with pytest.raises(DataError, match="kind 'by' never occurs; the kinds are 'buy', 'view'"):
        Dataset.from_frames(with_column(kind=["buy", "view", "buy"]), kinds=["by"])


def test_something_that_is_no_table() -> None:
    with pytest.raises(DataError, match="interactions: a int is not a table"):
        Dataset.from_frames(7)


def test_files_that_are_missing_empty_or_broken(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        load_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"interactions.parquet: there is no such file"):
        load_dataset(tmp_path)
    file = tmp_path / "interactions.parquet"
    file.write_bytes(b"")
    with pytest.raises(DataError, match=r"interactions.parquet: the file is empty"):
        load_dataset(tmp_path)
    with_column().write_parquet(file)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"interactions.parquet: this is not a readable parquet file"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("{", "is not readable JSON"),
        ("[1]", "a JSON object is due"),
        ('{"noun": 7}', "key 'noun' is 7, which is not a text"),
        ('{"time_resolution": "minute"}', "time_resolution 'minute' is unknown; use one of second, day"),
    ],
)
def test_a_malformed_dataset_json(tmp_path: Path, said: str, words: str) -> None:
    with pytest.raises(DataError, match=re.escape(words)):
        load_dataset(folder_of(tmp_path, with_column(), said))


def test_a_time_resolution_that_the_rows_do_not_keep(tmp_path: Path) -> None:
    table = with_column(timestamp=[NOW, None, NOW])
    folder = folder_of(tmp_path, table, '{"time_resolution": "second"}')
    with pytest.raises(DataError, match="row 1, column 'timestamp': None is missing"):
        load_dataset(folder)
    assert load_dataset(folder, skip_bad=True).left_out == {"missing timestamp": 1}
    with pytest.raises(DataError, match="time_resolution is 'order' but no row has a position"):
        Dataset.from_frames(table, info=DatasetInfo(time_resolution="order"))
    with pytest.raises(DataError, match="column 'timestamp' is missing"):
        Dataset.from_frames(table.drop("timestamp"), info=DatasetInfo(time_resolution="day"))


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ({"item_id": ["x", "y", "x"]}, "items, row 2, column 'item_id': 'x' stands in an earlier row too"),
        ({"item_id": ["x", None, "y"]}, "items, row 1, column 'item_id': None is no id"),
        ({"title": ["A", "B", "C"]}, "items: column 'item_id' is missing"),
        ({"item_id": ["x", "y", "z"], "title": [1, 2, 3]}, "items, row 0, column 'title': 1 is Int64, text are due"),
        ({"item_id": ["x", "y", "z"], "categories": ["a|b"] * 3}, "'a|b' is String, lists of text are due"),
        ({"item_id": ["x", "y", "z"], "year": [1, 2, 99_999]}, "row 2, column 'year': 99999 does not fit Int16"),
    ],
)
def test_a_bad_item_table(items: dict[str, list[Any]], words: str) -> None:
    with pytest.raises(DataError, match=re.escape(words)):
        Dataset.from_frames(with_column(), pl.DataFrame(items))


def test_skipped_item_rows_are_counted() -> None:
    items = pl.DataFrame({"item_id": ["x", "x", None], "title": ["first", "second", "third"]})
    data = Dataset.from_frames(with_column(), items, skip_bad=True)
    assert data.item_table["title"].to_list() == ["first", None]
    assert data.left_out == {"item rows with an empty id": 1, "repeated item rows": 1}


def test_a_folder_is_not_written_from_bad_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 1, column 'user_id'"):
        write_folder(tmp_path / "d", with_column(user_id=["a", None, "b"]), None, DatasetInfo())
    assert list(tmp_path.iterdir()) == []
