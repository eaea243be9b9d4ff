"""`dynmm evaluate --drop --corrupt` as a person types it, and the rows of a plain `dynmm evaluate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.assembly.made import BRIEF, write_world

from dynmm import Recommender
from dynmm.artefact import CANDIDATES
from dynmm.cli import main
from dynmm.interactions.candidates import draw_candidates


def _dynmm(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


def _refused(*arguments: str | Path) -> str:
    result = _dynmm(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.stderr


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DYNMM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"))


def _fit(data: Path, run: Path, config: dict[str, object]) -> Path:
    (data / "config.json").write_text(json.dumps(config))
    result = _dynmm("fit", data, "--out", run, "--split", "full", "--config", data / "config.json")
    assert result.exit_code == 0, result.output
    return run


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _fit(data, tmp_path_factory.mktemp("runs") / "joint", BRIEF)


@pytest.fixture(scope="module")
def blind(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows items by their interactions alone."""
    return _fit(data, tmp_path_factory.mktemp("runs") / "blind", {**BRIEF, "fusion": {"variant": "off"}})


def test_what_is_lost_without_and_with_wrong_texts(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "losses.json"
    result = _dynmm("evaluate", run, "--drop", "text", "--corrupt", "text=1", "--out", out)
    assert result.exit_code == 0, result.output
    told = json.loads(out.read_text())
    assert [one["name"] for one in told["conditions"]] == [
        "full",
        "drop text=0.25",
        "drop text=0.5",
        "drop text=0.75",
        "drop text=1",
        "noise text=1",
        "wrong text=1",
    ]
    assert set(told["systems"]) == {one["name"] for one in told["conditions"]}
    assert (told["protocol"], told["users"], told["split"]["name"]) == ("full", 60, "full")
    losses = {(one["condition"], one["metric"]): one for one in told["losses"]}
    for name, cells in told["systems"].items():
        if name != "full":
            lost = 100 * (told["systems"]["full"]["hit@10"]["mean"] - cells["hit@10"]["mean"])
            assert losses[name, "hit@10"]["points"] == pytest.approx(lost)
    assert {one["missing"] for one in told["against_missing"]} == {"drop text=1"}
    assert (tmp_path / "losses.svg").read_text().lstrip().startswith("<?xml")
    for words in ("wrong text=1", "drop text=0.25", "further loss in hit@10"):
        assert words in result.stdout
    assert "measuring noise text=1" in result.stderr


def test_what_is_lost_among_sampled_candidates_is_asked_of_those_of_a_plain_evaluation(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are drawn where there are none yet, and kept in the run."""
    monkeypatch.setattr("dynmm.measurement.draw_candidates", lambda split, seed: draw_candidates(split, seed, 15))
    asked = _dynmm("evaluate", run, "--drop", "text=1", "--protocol", "sampled", "--json", "-q")
    assert asked.exit_code == 0, asked.output
    assert (run / CANDIDATES).is_dir()
    losses = json.loads(asked.stdout)
    whole = json.loads(
        _dynmm("evaluate", run, "--system", "popularity", "--protocol", "sampled", "--json", "-q").stdout
    )
    assert losses["protocol"] == whole["protocol"]
    assert losses["systems"]["full"] == whole["systems"]["dynmm"]


def test_the_full_condition_is_what_a_plain_evaluation_says(run: Path) -> None:
    plain = _dynmm("evaluate", run, "--system", "popularity", "--json", "-q")
    asked = _dynmm("evaluate", run, "--drop", "text=1", "--json", "-q")
    assert (plain.exit_code, asked.exit_code, asked.stderr) == (0, 0, "")
    whole, full = json.loads(plain.stdout)["systems"], json.loads(asked.stdout)["systems"]
    assert full["full"] == whole["dynmm"] == whole["dynmm/evidence"]
    assert list(whole) == ["dynmm", "dynmm/evidence", "dynmm/backbone", "dynmm/joint", "popularity"]
    assert "dynmm is dynmm/evidence: nothing is built above it." in json.loads(plain.stdout)["notes"]
    (none,) = (note for note in json.loads(plain.stdout)["notes"] if note.startswith("dynmm has no re-ranker: "))
    assert none in json.loads(asked.stdout)["notes"]


def test_a_run_without_content_has_no_joint_rung_and_nothing_to_drop(blind: Path) -> None:
    told = json.loads(_dynmm("evaluate", blind, "--system", "popularity", "--json", "-q").stdout)
    assert list(told["systems"]) == ["dynmm", "dynmm/evidence", "dynmm/backbone", "popularity"]
    assert "dynmm is dynmm/evidence: nothing is built above it." in told["notes"]
    assert "no modality to drop or to corrupt" in _refused("evaluate", blind, "--drop", "text")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--drop", "taste"), "'taste' is no modality; use text, image, audio"),
        (("--corrupt", "taste=0.5"), "'taste' is no modality; use text, image, audio"),
        (("--drop", "image"), "no modality 'image'; there is: text"),
        (("--drop", "text=2"), "a rate is a share between 0 and 1, not 2"),
        (("--corrupt", "text=nan"), "a rate is a share between 0 and 1"),
        (("--drop", "text=much"), "'much' is no share of the items"),
        (("--drop", ""), "'' is no modality"),
        (("--drop", "text", "--protocol", "holdout"), "cannot be asked of split 'full'"),
        (("--drop", "text", "--system", "popularity"), "--system popularity: --drop and --corrupt measure"),
        (("--corrupt", "text", "--out", "losses.svg"), "give that of the JSON, such as losses.json"),
    ],
)
def test_bad_usage_is_one_line_that_names_it(run: Path, arguments: tuple[str, ...], words: str) -> None:
    told = _refused("evaluate", run, "-q", *arguments)
    assert words in told
    assert len(told.splitlines()) == 1


def test_nothing_is_written_where_nothing_was_measured(run: Path, tmp_path: Path) -> None:
    _refused("evaluate", run, "--drop", "taste", "--out", tmp_path / "losses.json")
    assert not list(tmp_path.iterdir())


def test_a_fit_tells_what_was_read_and_what_the_gate_learned(data: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(BRIEF))
    result = _dynmm("fit", data, "--out", tmp_path / "run", "--split", "full", "--config", tmp_path / "config.json")
    assert result.exit_code == 0, result.output
    assert "text: 29 items by precomputed:place, 1 without" in result.stdout
    assert "joint: gate weights, mean over the items that have it: cf 0." in result.stdout
    assert "joint: best epoch" in result.stdout


def test_as_of_stands_beside_the_run_as_fitted_and_with_nothing_else(run: Path) -> None:
    assert "ask for one" in _refused("evaluate", run, "--as-of", "1", "--drop", "text")
    assert "before the end of the fit" in _refused("evaluate", run, "--as-of", "1")
    offset = str(Recommender.from_pretrained(run).offset)
    result = _dynmm("evaluate", run, "--as-of", offset, "--system", "popularity", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["systems"]["dynmm/online"] == told["systems"]["dynmm"]
    assert any("dynmm/online knows 0 events" in one for one in told["notes"])
