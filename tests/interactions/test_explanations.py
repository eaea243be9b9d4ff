"""Reference explanations: read as they are, refused with the place and the mend where they are wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dynmm.errors import DataError, EmptyDataError
from dynmm.interactions.explanations import read_explanations

ROWS: dict[str, Any] = {
    "user_id": ["u1", "u1", "u2"],
    "item_id": ["a", "b", "a"],
    "text": ["because", "why not", "a 'reason'\n<b>"],
    "source": ["a person"] * 3,
    "further": ["x", "y", "z"],
}


def written(folder: Path, **changes: Any) -> Path:
    columns = {name: column for name, column in (ROWS | changes).items() if column is not None}
    pl.DataFrame(columns).write_parquet(folder / "explanations.parquet")
    return folder


def test_the_texts_are_read_as_they_are(tmp_path: Path) -> None:
    frame = read_explanations(written(tmp_path))
    assert frame.columns == ["user_id", "item_id", "text", "source"]
    assert frame.rows()[2] == ("u2", "a", "a 'reason'\n<b>", "a person")
    assert read_explanations(tmp_path, also=["further"])["further"].to_list() == ["x", "y", "z"]


def test_ids_may_be_whole_numbers(tmp_path: Path) -> None:
    assert read_explanations(written(tmp_path, user_id=[7, 8, 9]))["user_id"].to_list() == ["7", "8", "9"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": None}, "column 'text' is missing"),
        ({"text": ["because", None, "x"]}, "row 1, column 'text': it is empty"),
        ({"source": ["a", "b", " "]}, "row 2, column 'source': it is empty"),
        ({"user_id": ["u1", "", "u2"]}, "row 1, column 'user_id': it is empty"),
        ({"item_id": ["a", "a", "a"]}, "row 1: user 'u1' and item 'a' stand in an earlier row too"),
        ({"text": [1.5, 2.5, 3.5]}, "column 'text'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_explanations(written(tmp_path, **changes))


def test_no_file_and_no_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_explanations(tmp_path)
    pl.DataFrame(ROWS).clear().write_parquet(tmp_path / "explanations.parquet")
    with pytest.raises(EmptyDataError):
        read_explanations(tmp_path)


def test_the_real_explanations_read() -> None:
    folder = Path(os.environ.get("DYNMM_DATA", "")) / "xrec-amazon-books"
    if not (folder / "explanations.parquet").is_file():
        pytest.skip("DYNMM_DATA does not lead to xrec-amazon-books")
    frame = read_explanations(folder, also=["xrec_prediction"])
    assert frame.height == 3_000
    assert all(frame["text"].str.len_chars() > 100)
