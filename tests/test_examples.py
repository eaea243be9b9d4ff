"""The examples do what they say."""

from __future__ import annotations

import runpy
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from dynmm.cli import main
from dynmm.interactions.dataset import Dataset

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.mark.slow
def test_own_csv_recommends_the_next_book_of_a_series(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "own_csv.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    titles = [line.split(maxsplit=1)[1] for line in lines]
    # Reader 41 borrowed the first three Harbour books, and those who did went on with the fourth.
    assert titles[0] == "The Harbour Fog"
    assert not set(titles) & {"The Harbour Light", "The Harbour Bell", "The Harbour Rope"}


def test_the_command_line_imports_the_same_library(tmp_path: Path) -> None:
    source, target = EXAMPLES / "own_csv", tmp_path / "library"
    columns = ["--user", "reader", "--time", "borrowed_on", "--items", str(source / "books.csv")]
    result = CliRunner().invoke(main, ["data", "import", "csv", str(source / "loans.csv"), str(target), *columns])
    assert result.exit_code == 0, result.output
    imported = Dataset.load(target)
    example = runpy.run_path(str(EXAMPLES / "own_csv.py"))["read_library"]()
    assert imported.users.ids == example.users.ids
    assert imported.items.ids == example.items.ids
    assert imported.events.items.tolist() == example.events.items.tolist()
    assert imported.info.time_resolution == example.info.time_resolution == "day"
    assert imported.item_table["categories"].to_list() == example.item_table["categories"].to_list()


def test_the_sample_data_is_whole() -> None:
    films = Dataset.load(EXAMPLES / "movielens")
    assert (films.n_users, films.n_items, len(films.events)) == (671, 9_125, 100_004)
    assert films.info.time_resolution == "second"
    assert films.left_out == {}
    tags = pl.read_parquet(EXAMPLES / "movielens" / "tags.parquet")
    assert tags.height == 1_296
