"""What a world's file may say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dynmm.cli import main
from dynmm.errors import ConfigError
from dynmm.interactions.dataset import Dataset
from dynmm.simulation import WorldConfig
from dynmm.simulation.reading import read_world

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples" / "worlds").glob("*.json"))


def write(path: Path, said: Any) -> Path:
    path.write_text(said if isinstance(said, str) else json.dumps(said))
    return path


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{", "is not readable JSON"),
        ("[]", "valid dictionary"),
        ({"user": 3}, "unknown key 'user'; known: name, noun"),
        ({"drift": {"kind": "sudden", "wen": 0.5}}, "unknown key 'drift.sudden.wen'"),
        ({"drift": {"kind": "slow"}}, "drift: "),
        ({"drift": {"kind": "gradual", "at": 0.5, "until": 0.4}}, "until must be later"),
        ({"users": 0}, "users: Input should be greater"),
        ({"users": 100, "events": 10}, "users x min_events = 500"),
        ({"users": 10, "items": 12, "events": 100}, "takes an item twice"),
        ({"categories": 3, "new_categories": 3}, "new_categories must be fewer"),
        ({"categories": 700}, "categories must not exceed items"),
        ({"attack": {"targets": 20, "events_each": 10}}, "targets must not exceed events_each"),
        ({"items": 20, "users": 5, "events": 40, "attack": {"targets": 6}}, "a quarter of the items"),
        ({"title_template": "{colour} thing"}, "title_template: use one or more of {adjective}"),
        ({"title_template": "{noun"}, "brackets do not match"),
    ],
)
def test_a_mistake_is_named(said: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_world(write(tmp_path / "world.json", said))
    assert message in str(caught.value)
    assert "world.json" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_world(tmp_path / "nowhere.json")


def test_every_field_is_described() -> None:
    assert all(field.description for field in WorldConfig.model_fields.values())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_worlds_can_be_made(path: Path, tmp_path: Path) -> None:
    arguments = ["simulate", str(path), "--out", str(tmp_path / "data"), "--seed", "3"]
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    dataset = Dataset.load(tmp_path / "data")
    assert (dataset.n_users, dataset.n_items, len(dataset.events)) == (
        facts["users"],
        facts["items"],
        facts["interactions"],
    )
    assert sum(facts["causes"].values()) == facts["interactions"]

    # What lies beside the events makes the same world again.
    truth = json.loads((tmp_path / "data" / "truth" / "world.json").read_text())
    assert WorldConfig.model_validate(truth["config"]) == read_world(path)
    assert truth["seed"] == 3

    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    assert CliRunner().invoke(main, [*arguments, "--overwrite", "-q"]).exit_code == 0


def test_a_bad_world_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    path = write(tmp_path / "world.json", {"user": 3})
    result = CliRunner().invoke(main, ["simulate", str(path), "--out", str(tmp_path / "data")])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "unknown key 'user'" in result.stderr
    assert not (tmp_path / "data").exists()
