"""Inspection: counts that a hand can check, uses that are tried, a picture, and the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from dynmm.cli.data import data as data_group
from dynmm.interactions.dataset import Dataset, DatasetInfo
from dynmm.interactions.drawing import draw
from dynmm.interactions.inspection import inspect
from dynmm.interactions.loading import write_folder

NOW = 1_600_000_000_000
Make = Callable[..., pl.DataFrame]
PNG = b"\x89PNG\r\n\x1a\n"


def test_counts_of_a_hand_made_data_set() -> None:
    rows = [("a", "x", NOW), ("a", "y", NOW), ("a", "x", NOW + 86_400_000), ("b", "x", NOW + 1)]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    items = pl.DataFrame(
        {
            "item_id": ["x", "y", "z", "w"],
            "title": ["X", " ", None, None],
            "description": [None, None, "Z", ""],
            "categories": [["c"], [], None, None],
        }
    )
    media = pl.DataFrame({"item_id": ["x", "x", "z"], "modality": ["image", "audio", "image"], "bytes": [b"1"] * 3})
    facts = inspect(Dataset.from_frames(frame, items, media))
    assert (facts.users, facts.items, facts.items_with_events, facts.events) == (2, 4, 2, 4)
    assert facts.density == pytest.approx(3 / 8)
    assert facts.repeats_share == pytest.approx(1 / 4)
    assert facts.ties_share == pytest.approx(2 / 4)
    assert facts.head_share == pytest.approx(3 / 4)
    assert facts.users_with_one_event == 1
    assert (facts.first, facts.last) == ("2020-09-13T12:26:40Z", "2020-09-14T12:26:40Z")
    assert facts.span_days == pytest.approx(1.0)
    assert facts.events_per_user == {"min": 1, "25%": 1.5, "50%": 2, "75%": 2.5, "95%": 2.9, "max": 3}
    wanted = {"text": 2, "title": 1, "description": 1, "brand": 0, "categories": 1, "year": 0, "image": 2, "audio": 1}
    assert facts.coverage == wanted


def test_uses_quote_the_reason_of_each_refusal(random_frame: Make) -> None:
    uses = {use.name: use for use in inspect(Dataset.from_frames(random_frame(1, time="order"))).uses}
    assert uses["holdout by user"].possible
    assert "test cases" in uses["holdout by user"].detail
    assert not uses["stream"].possible
    assert "only the order within each user is known" in uses["stream"].detail
    assert not uses["recent popularity"].possible
    assert not uses["sampled"].possible
    unordered = {use.name: use for use in inspect(Dataset.from_frames(random_frame(1, time="none"))).uses}
    assert not unordered["full"].possible
    assert unordered["fit on everything (none)"].possible


@pytest.mark.parametrize("time", ["second", "order", "none"])
def test_the_picture_is_a_png_and_the_same_each_time(random_frame: Make, tmp_path: Path, time: str) -> None:
    dataset = Dataset.from_frames(random_frame(1, time=time))
    draw(dataset, tmp_path / "one.png")
    draw(dataset, tmp_path / "two.png")
    picture = (tmp_path / "one.png").read_bytes()
    assert picture.startswith(PNG)
    assert len(picture) > 10_000
    assert picture == (tmp_path / "two.png").read_bytes()


@pytest.mark.parametrize("time", ["second", "order"])
def test_one_event_can_be_drawn_and_inspected(tmp_path: Path, time: str) -> None:
    place = {"timestamp": [NOW]} if time == "second" else {"position": [0]}
    dataset = Dataset.from_frames(pl.DataFrame({"user_id": ["a"], "item_id": ["x"], **place}))
    draw(dataset, tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(PNG)
    assert inspect(dataset).events == 1


@pytest.fixture
def folder(random_frame: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    features = pl.DataFrame({"item_id": ["i0", "elsewhere"], "vector": [[0.0, 1.0], [1.0, 0.0]]})
    extra = {"features/image-toy": features.with_columns(pl.col("vector").cast(pl.Array(pl.Float32, 2)))}
    write_folder(tmp_path / "shop", random_frame(1), None, DatasetInfo("shop"), extra)
    return tmp_path / "shop"


def test_the_command_prints_and_draws(folder: Path) -> None:
    result = CliRunner().invoke(data_group, ["inspect", "shop"])
    assert result.exit_code == 0, result.output
    assert "can be used for" in result.stdout
    assert "features/image-toy" in result.stdout
    assert (folder.parent / "shop-inspect.png").read_bytes().startswith(PNG)


def test_the_command_speaks_json_to_machines(folder: Path) -> None:
    result = CliRunner().invoke(data_group, ["inspect", "shop", "--json", "--no-plot"])
    facts = json.loads(result.stdout)
    assert facts["events"] + sum(facts["left_out"].values()) == 300
    assert facts["coverage"]["features/image-toy"] == 1
    assert facts["plot"] is None
    assert not list(folder.parent.glob("*.png"))


def test_the_command_answers_mistakes_with_one_line(folder: Path) -> None:
    result = CliRunner().invoke(data_group, ["inspect", "nowhere"])
    assert result.exit_code == 2
    assert "error: nowhere: there is no such folder" in result.stderr
    assert "Traceback" not in result.output
    both = CliRunner().invoke(data_group, ["inspect", "shop", "--plot", "x.png", "--no-plot"])
    assert both.exit_code == 2
    help_text = CliRunner().invoke(data_group, ["inspect", "--help"]).output
    assert "Example:" in help_text


@pytest.mark.parametrize(
    ("file", "table", "words"),
    [
        (
            "features/text-mine.parquet",
            {"id": ["x"], "vector": [[1.0]]},
            "column 'item_id' is missing (columns: id, vector)",
        ),
        ("features/text-mine.parquet", {"item_id": [b"\xff"], "vector": [[1.0]]}, "write ids as strings or integers"),
        ("media.parquet", {"item_id": [b"\xff"], "modality": ["image"]}, "is no text"),
        ("media.parquet", {"item_id": ["x"], "modality": [["image"]]}, "column 'modality'"),
    ],
)
def test_a_table_beside_the_events_that_cannot_be_read_is_named(
    tmp_path: Path, random_frame: Make, file: str, table: dict[str, list[object]], words: str
) -> None:
    write_folder(tmp_path / "made", random_frame(1), None, DatasetInfo("made"))
    path = tmp_path / "made" / file
    path.parent.mkdir(exist_ok=True)
    pl.DataFrame(table).write_parquet(path)
    result = CliRunner().invoke(data_group, ["inspect", str(tmp_path / "made")])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert path.name in result.stderr
    assert words in result.stderr
