"""`dynmm data import` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from dynmm.cli.data_import import import_data
from dynmm.interactions.dataset import Dataset


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "plays.tsv"
    path.write_text("who\tsong_id\tts\nann\ts1\t1700000000\nbob\ts2\t1700000060\nbob\t\t1700000090\n")
    return path


def test_import_writes_a_folder_and_says_what_it_left_out(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "songs"
    arguments = ["csv", str(log), str(out), "--user", "who", "--item", "song_id", "--separator", "tab"]
    result = CliRunner().invoke(import_data, [*arguments, "--noun", "song", "--skip-bad", "--json"])
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["users"], report["items"], report["interactions"]) == (2, 2, 2)
    assert report["left_out"] == {"item_id missing": 1}
    assert "reading" in result.stderr
    assert Dataset.load(out).info.noun == "song"

    again = CliRunner().invoke(import_data, [*arguments, "--skip-bad", "--overwrite", "-q"])
    assert again.exit_code == 0
    assert "2 users, 2 items, 2 interactions" in again.stdout
    assert "left out 1: item_id missing" in again.stdout
    assert again.stderr == ""


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ([], "line 4, column 'song_id'"),
        (["--time", "when"], "no column 'when'"),
        (["--matrix", "big"], "csv takes no option 'matrix'"),
        (["--time-unit", "ms"], "look like seconds"),
        (["--separator", "::"], "one character"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(log: Path, tmp_path: Path, extra: list[str], message: str) -> None:
    out = tmp_path / "songs"
    result = CliRunner().invoke(import_data, ["csv", str(log), str(out), "--user", "who", "--item", "song_id", *extra])
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not out.exists()


def test_help_shows_an_example() -> None:
    result = CliRunner().invoke(import_data, ["--help"])
    assert result.exit_code == 0
    assert "dynmm data import movielens" in result.stdout
