"""The commands as a person types them: output, exit codes, and never a traceback for a mistake."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result
from tests.worlds import write_circles

from dynmm.cli import COMMANDS, main
from dynmm.cli.progress import EpochBar
from dynmm.errors import StorageError

QUICK = ["--set", "backbone.width=32", "--set", "backbone.inner=32", "--set", "backbone.epochs=3"]
QUICK += ["--set", "encoders.text=hashed-words"]


def _dynmm(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


def _refused(*arguments: str | Path) -> str:
    """Run a command that must fail by our own words; returns them."""
    result = _dynmm(*arguments)
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result.stderr


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DYNMM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("circles")
    write_circles(str(folder))
    return folder


@pytest.fixture(scope="module")
def full_run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "full"
    result = _dynmm("fit", data, "--out", run, "--split", "full", *QUICK)
    assert result.exit_code == 0, result.output
    assert "validation ndcg@10" in result.stdout
    assert "evidence: worth of facts learned from 60 users" in result.stdout
    assert "saved" in result.stdout
    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = _dynmm(name, "--help")
    assert result.exit_code == 0
    assert f"dynmm {name}" in result.stdout


def test_the_list_of_commands() -> None:
    result = _dynmm("--help")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in COMMANDS)


def test_recommend_prints_a_list(full_run: Path) -> None:
    result = _dynmm("recommend", full_run, "--user", "u3", "-k", "4")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 4
    assert "Film" in result.stdout


def test_recommend_prints_json_that_agrees(full_run: Path) -> None:
    told = json.loads(_dynmm("recommend", full_run, "--user", "u3", "-k", "4", "--json").stdout)
    assert told["user"] == "u3"
    assert len(told["items"]) == 4
    assert set(told["items"][0]) == {"item", "title", "score", "contributions", "rationale"}
    less = json.loads(
        _dynmm("recommend", full_run, "--user", "u3", "-k", "4", "--exclude", told["items"][0]["item"], "--json").stdout
    )
    assert less["items"][0] == told["items"][1]


def test_recommend_asks_for_no_more_than_there_is(full_run: Path) -> None:
    told = _dynmm("recommend", full_run, "--user", "u3", "-k", str(10**20), "--json").stdout
    rest = [one["item"] for one in json.loads(told)["items"]]
    assert 0 < len(rest) < 40
    excluded = [part for item in rest for part in ("--exclude", item)]
    result = _dynmm("recommend", full_run, "--user", "u3", *excluded)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing is left to recommend" in result.stderr


def test_recommend_refuses_unknown_ids(full_run: Path) -> None:
    assert "unknown user 'zed'" in _refused("recommend", full_run, "--user", "zed")
    assert "unknown item 'i999'" in _refused("recommend", full_run, "--user", "u3", "--exclude", "i999")


def test_evaluate_writes_the_contract_shape(full_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    result = _dynmm("evaluate", full_run, "--system", "popularity", "--system", "item-knn", "--out", out)
    assert result.exit_code == 0, result.output
    told = json.loads(out.read_text())
    assert told["protocol"] == "full"
    assert told["users"] == 60
    assert set(told["systems"]) == {
        "dynmm",
        "dynmm/backbone",
        "dynmm/joint",
        "dynmm/evidence",
        "popularity",
        "item-knn",
    }
    cell = told["systems"]["dynmm"]["hit@10"]
    assert cell["ci95"][0] <= cell["mean"] <= cell["ci95"][1]
    assert cell["seeds"] == [cell["mean"]]
    assert {(one["ours"], one["theirs"]) for one in told["comparisons"]} == {
        ("dynmm", "dynmm/joint"),
        ("dynmm/joint", "dynmm/backbone"),
        ("dynmm", "popularity"),
        ("dynmm", "item-knn"),
    }
    assert "item-knn" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("stream", "--out", "x.svg"), "the figure takes this name"),
        (("stream", "--out", "x.json", "--report", "x.json"), "--report x.json: --out is written there, too"),
        (("stream", "--out", "x.json", "--report", "./x.svg"), "--report x.svg: the figure of --out is written there"),
        (("stream", "--out", "."), "--out .: it is a folder"),
        (("stream", "--report", "."), "--report .: it is a folder"),
        (("stream", "--out", "mine.txt/x.json"), "no file can be written there, so nothing was measured"),
        (("evaluate", "--out", "."), "it is a folder"),
        (("evaluate", "--drop", "text", "--out", "x.svg"), "the figure takes this name"),
        (("evaluate", "--drop", "text", "--out", "folder.json"), "the figure of --out folder.svg: it is a folder"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_text("keep me")
    (tmp_path / "folder.svg").mkdir()
    command, *options = arguments
    assert words in _refused(command, "no-run", *options)


def test_results_may_go_where_nothing_stays() -> None:
    for options in (("--out", "/dev/null"), ("--report", "/dev/null")):
        assert "no run at no-run" in _refused("stream", "no-run", *options)
    assert "no run at no-run" in _refused("evaluate", "no-run", "--out", "new/folder/x.svg")


def test_a_table_is_printed_before_the_disk_can_refuse_the_file(
    full_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageError("could not write it")

    monkeypatch.setattr("dynmm.storage.write_json", full)
    result = _dynmm("evaluate", full_run, "--system", "popularity", "--out", tmp_path / "x.json")
    assert result.exit_code == 2
    assert "could not write it" in result.stderr
    assert "dynmm - popularity" in result.stdout


def test_sampled_is_shown_beside_full_from_one_frozen_file(full_run: Path) -> None:
    call = ("evaluate", full_run, "--protocol", "sampled", "--system", "popularity", "--json")
    refused = _refused(*call)
    assert "leaves only" in refused


def test_a_run_knows_its_split(full_run: Path) -> None:
    assert "cannot be asked of split 'full'" in _refused("evaluate", full_run, "--protocol", "holdout")
    assert "fitted with --split stream" in _refused("stream", full_run)


def test_an_unknown_comparison_is_named(full_run: Path) -> None:
    assert "no comparison system 'magic'" in _refused("evaluate", full_run, "--system", "magic")


def test_stream_scores_before_it_learns(data: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "stream", tmp_path / "stream.json"
    assert _dynmm("fit", data, "--out", run, "--split", "stream", *QUICK).exit_code == 0
    systems = ["--system", "popularity", "--system", "online-item-knn", "--system", "backbone-retrained-7d"]
    result = _dynmm("stream", run, *systems, "--window", "1h", "--out", out, "--report", tmp_path / "report.html")
    assert result.exit_code == 0, result.output
    assert "old users, over events" in result.stdout
    over_events, over_users = result.stdout.split("averaged over users, each with the same weight:")
    told = json.loads(out.read_text())
    for shown, systems_of in ((over_events, "systems"), (over_users, "systems_by_user")):
        for name in ("dynmm", "online-item-knn"):
            assert f"{told[systems_of][name]['hit@10']['mean']:.4f} [" in shown
    assert "backbone-retrained-7d" in _refused("stream", run, "--system", "backbone-retrained-3d")
    page = (tmp_path / "report.html").read_text()
    for words in ("Old users and old items", "What is kept of the old", "--mode event --window 1h --system popularity"):
        assert words in page
    assert "<h3>Averaged over users</h3>" in page
    assert out.with_suffix(".svg").read_bytes().startswith(b"<?xml")
    quiet = _dynmm("stream", run, "--system", "popularity", "-q")
    assert (quiet.exit_code, quiet.stderr) == (0, "")
    assert "`dynmm stream` measures such a run" in _refused("evaluate", run)
    assert told["protocol"] == "stream/event"
    assert set(told["systems"]) == {
        "dynmm",
        "dynmm/static",
        "dynmm/frozen",
        "popularity",
        "online-item-knn",
        "backbone-retrained-7d",
    }
    assert told["windows"]
    assert set(told["update_seconds"]) >= {"dynmm", "online-item-knn"}
    assert told["counts"]["events"] == 217


def test_holdout_and_cold_runs_are_evaluated(data: Path, tmp_path: Path) -> None:
    for split in ("holdout", "cold"):
        run = tmp_path / split
        fitted = _dynmm("fit", data, "--out", run, "--split", split, *QUICK)
        assert fitted.exit_code == 0, fitted.output
        told = json.loads(_dynmm("evaluate", run, "--system", "popularity", "--json", "-q").stdout)
        assert told["protocol"] == split
        if split == "cold":
            assert [one["protocol"] for one in told["beside"]] == ["cold-only"]


def test_config_prints_every_key_and_one() -> None:
    everything = json.loads(_dynmm("config", "--json").stdout)
    assert {"backbone.width", "split.k_core", "data.min_rating"} <= set(everything)
    assert all(entry["meaning"] for entry in everything.values())
    one = _dynmm("config", "backbone.width")
    assert one.stdout.startswith("backbone.width = 256")
    assert "no key begins with 'nothing'" in _refused("config", "nothing")


def test_config_defaults_are_valid_overrides(data: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"backbone": {"width": 16, "inner": 16, "epochs": 1}}))
    run = tmp_path / "run"
    result = _dynmm("fit", data, "--out", run, "--config", tmp_path / "config.json", "--json", "-q")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["config"]["backbone"]["width"] == 16


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "backbone.widht=3"], "unknown key 'backbone.widht'"),
        (["--set", "backbone.epochs=none"], "backbone.epochs"),
        (["--set", "backbone"], "not KEY=VALUE"),
        (["--device", "cuda"], "not to be had"),
        (["--config", "nowhere.json"], "not a readable JSON"),
        (["--set", "backbone.width=33"], "width 33 cannot be split among 2 heads"),
        (["--set", "backbone.epochs=0"], "backbone.epochs: got 0: Input should be greater than or equal to 1 or"),
    ],
)
def test_fit_refuses_by_name(data: Path, tmp_path: Path, arguments: list[str], words: str) -> None:
    assert words in _refused("fit", data, "--out", tmp_path / "run", *arguments)
    assert not (tmp_path / "run").exists()


def test_fit_tells_of_pictures_that_nobody_could_read(data: Path, tmp_path: Path) -> None:
    """A wrong path in every row, a misspelt modality, a folder and a feature file under other names: none is silent."""
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    rows = {"item_id": ["i0", "i1", "i2"], "modality": ["image", "image", "Picture"], "path": ["pics/0.png"] * 3}
    pl.DataFrame(rows).write_parquet(folder / "media.parquet")
    for place in ("media/pictures", "features"):
        (folder / place).mkdir(parents=True)
    (folder / "features" / "image-made.npy").write_bytes(b"")
    pl.DataFrame({"item_id": ["i0"], "vector": [[1.0]]}).write_parquet(folder / "features" / "text-lm.parquet")
    result = _dynmm("fit", folder, "--out", tmp_path / "run", *QUICK, "--set", "backbone.epochs=1")
    assert result.exit_code == 0, result.output
    told = (
        "image: 0 items, 30 without\n",
        "image: i0 is left out: cannot be read (No such file or directory: pics/0.png)\n",
        "image: i1 is left out: ",
        "media: a row of modality 'Picture' is not read; pictures are 'image' and sounds 'audio'\n",
        "media/pictures is not read: pictures lie in media/image and sounds in media/audio\n",
        "features/image-made.npy is not read: feature files are parquet tables\n",
        "features/text-lm.parquet is not read: encoders.text=precomputed:lm takes it\n",
    )
    for line in told:
        assert line in result.stdout, result.stdout
    silent = _dynmm("fit", folder, "--out", tmp_path / "off", *QUICK, "--set", "encoders.image=off")
    assert "i0 is left out" not in silent.stdout


def test_fit_refuses_a_folder_that_is_no_run(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    assert "not a run" in _refused("fit", data, "--out", tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_fit_replaces_a_run_but_nothing_that_lies_in_its_folder(data: Path, full_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(full_run, run)
    (run / "candidates").mkdir()
    (run / "notes.txt").write_text("keep me")
    call: tuple[str | Path, ...] = ("fit", data, "--out", run, "--split", "full", *QUICK)
    assert "notes.txt is no part of the run" in _refused(*call)
    (run / "notes.txt").unlink()
    assert _dynmm(*call).exit_code == 0
    assert {path.name for path in run.iterdir()} == {"model", "state"}


def test_a_path_that_the_system_refuses_is_one_line(data: Path, tmp_path: Path) -> None:
    told = _refused("fit", data, "--out", tmp_path / ("n" * 300))
    assert told.startswith("error: ")
    assert told.endswith("File name too long\n")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for call in (("fit", data, "--config"), ("simulate",)):
        told = _refused(*call, tmp_path / "deep.json", "--out", tmp_path / "out")
        assert "recursion" in told
        assert len(told.splitlines()) == 1


@pytest.mark.parametrize("command", ["fit", "demo"])
def test_an_out_that_cannot_be_made_is_refused_before_any_work(command: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    call = ("fit", data) if command == "fit" else ("demo", "--data", data)
    told = _refused(*call, "--out", tmp_path / "mine.txt" / "run")
    assert "mine.txt is not a folder that you may write to" in told
    assert len(told.splitlines()) == 1


def test_fit_refuses_no_data(tmp_path: Path) -> None:
    assert "interactions.parquet" in _refused("fit", tmp_path, "--out", tmp_path / "run")


def test_bad_usage_exits_with_two() -> None:
    assert _dynmm("fit").exit_code == 2
    assert _dynmm("nonsense").exit_code == 2
    assert _dynmm("recommend", "x", "--user", "1", "-k", "0").exit_code == 2
    assert "exclude each other" in _refused("config", "-v", "-q")


def test_an_interrupted_fit_says_how_to_go_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: EpochBar, report: object) -> None:
        raise KeyboardInterrupt

    call: tuple[str | Path, ...] = ("fit", data, "--out", tmp_path / "run", "--split", "full", "--seed", "5", *QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(EpochBar, "epoch", interrupt)
        broken = _dynmm(*call)
    assert broken.exit_code == 130
    assert "interrupted; give the same command again" in broken.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()
    assert _dynmm(*call).exit_code == 0


def test_encoding_is_counted_in_contents_for_each_modality(data: Path, tmp_path: Path) -> None:
    told = _dynmm("fit", data, "--out", tmp_path / "run", *QUICK, "--set", "encoders.text_batch=7").stderr
    assert "encoding text: 30 of 30" in told
    assert "encoding: 0." not in told


def test_an_interrupted_encoding_promises_what_was_encoded(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: EpochBar, modality: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("DYNMM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(EpochBar, "encoding", interrupt)
    broken = _dynmm("fit", data, "--out", tmp_path / "run", *QUICK)
    assert broken.exit_code == 130
    assert broken.stderr.splitlines()[-1].endswith("finished stages and epochs are kept, and what was encoded")
