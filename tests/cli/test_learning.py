"""learn, recommend --as-of, diff and forget, as a person types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result
from tests.worlds import DAY, START, write_circles

from dynmm import Recommender
from dynmm.assembly import close_live
from dynmm.cli import main
from dynmm.errors import StorageError

_QUICK = ["backbone.width=32", "backbone.inner=32", "backbone.epochs=2", "encoders.text=hashed-words", "rerank=none"]


def _dynmm(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


def _fit(folder: Path, *settings: str) -> Path:
    write_circles(str(folder / "."))
    run = folder / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DYNMM_CACHE", str(folder / "cache"))
        result = _dynmm("fit", folder, "--out", run, *(part for one in [*_QUICK, *settings] for part in ("--set", one)))
    assert result.exit_code == 0, result.output
    return run


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _fit(tmp_path_factory.mktemp("circles"))


@pytest.fixture
def run(fitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fitted, tmp_path / "run"))


@pytest.fixture
def events(tmp_path: Path) -> Path:
    rows = {
        "event_id": [f"e{n}" for n in range(20)],
        "user_id": ["u3"] * 2 + [f"new{n}" for n in range(18)],
        "item_id": [f"i{n}" for n in range(20)],
        "timestamp": [START + 50 * DAY + n for n in range(20)],
    }
    pl.DataFrame(rows).write_csv(tmp_path / "today.csv")
    return tmp_path / "today.csv"


def _told(*arguments: str | Path) -> dict[str, Any]:
    result = _dynmm(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_events_are_learned_once_and_the_past_can_be_looked_at(run: Path, events: Path) -> None:
    before = _told("recommend", run, "--user", "u3", "-k", "5")
    told = _told("learn", run, events)
    assert (told["accepted"], told["counted"], told["duplicates"], told["held"]) == (20, 20, 0, 0)
    assert told["as_of_offset"] == before["as_of_offset"] + 20
    again = _told("learn", run, events)
    assert (again["accepted"], again["duplicates"]) == (0, 20)
    assert _told("recommend", run, "--user", "u3", "-k", "5") != before
    offset = str(before["as_of_offset"])
    assert _told("recommend", run, "--user", "u3", "-k", "5", "--as-of", offset) == before
    again_in_words = _dynmm("learn", run, events)
    assert again_in_words.stdout.startswith("0 events are new in the log, 0 count;")
    assert "20 were there already and count once" in again_in_words.stderr


def test_what_moved_is_told_in_words_and_as_json(run: Path, events: Path) -> None:
    start = _told("recommend", run, "--user", "u3")["as_of_offset"]
    _told("learn", run, events)
    call = ("diff", run, "--user", "u3", "--from", str(start), "--to", str(start + 20), "-k", "3")
    told = _told(*call)
    assert told["events"] == [[start, "i0"], [start + 1, "i1"]]
    assert told["items"]
    words = _dynmm(*call).stdout
    assert f"i0 (offset {start})" in words
    assert "history" in words
    assert "adapter" in words


def test_versions_are_listed_and_gone_back_to(run: Path, events: Path) -> None:
    _told("learn", run, events)
    (base,) = _told("versions", run)["versions"]
    assert (base["version"], base["serves"]) == (0, True)
    assert base["offset"] == _told("recommend", run, "--user", "u3")["as_of_offset"] - 20
    assert "0: offset" in _dynmm("versions", run).stdout
    assert _told("rollback", run, "--version", "0") == {"as_of_offset": base["offset"] + 20, "before": 0, "serves": 0}
    assert "version 0 serves" in _dynmm("rollback", run, "--version", "0").stdout


def test_somebody_leaves_with_a_certificate(run: Path, events: Path, tmp_path: Path) -> None:
    _told("learn", run, events)
    result = _dynmm("forget", run, "--user", "u3", "--out", tmp_path / "certificate.json")
    assert result.exit_code == 0, result.output
    assert "not covered" in result.stdout
    certificate = json.loads((tmp_path / "certificate.json").read_text())
    assert certificate["deleted"] == {"events in the log": 2, "events of the fit": 12}
    gone = _dynmm("recommend", run, "--user", "u3")
    assert gone.exit_code == 2
    assert "unknown user 'u3'" in gone.stderr


def _full(*_: object) -> None:
    raise StorageError("no space left")


def test_what_is_done_is_told_though_the_disk_has_no_room_for_a_snapshot(
    run: Path, events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told that it failed, somebody without event ids learns the file again; and a certificate is given once."""
    monkeypatch.setattr("dynmm.assembly.logkeeping.write_live", _full)
    learned = _dynmm("learn", run, events)
    assert (learned.exit_code, learned.stdout[:28]) == (0, "20 events are new in the log")
    assert "no space left" in learned.stderr
    assert _told("rollback", run, "--version", "0")["serves"] == 0
    assert _told("forget", run, "--user", "u3", "--out", tmp_path / "certificate.json")["user"] == "u3"
    assert json.loads((tmp_path / "certificate.json").read_text())["user"] == "u3"


def test_what_is_done_is_told_whatever_closing_the_run_ends_in(
    run: Path, events: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(recommender: Recommender) -> None:
        close_live(recommender)
        raise StorageError("the disk is away")

    monkeypatch.setattr("dynmm.assembly.close_live", failing)
    for arguments, words in (
        (("learn", run, events), "20 events are new in the log"),
        (("rollback", run, "--version", "0"), "version 0 serves"),
        (("forget", run, "--user", "u3"), "user u3: deleted"),
    ):
        result = _dynmm(*arguments)
        assert words in result.stdout
        assert "the disk is away" in result.stderr


def test_ids_are_text_whatever_they_look_like(run: Path, tmp_path: Path) -> None:
    rows = [f"{n:05d},i{n},{START + 50 * DAY + n}" for n in range(150)] + [f"B00X,i1,{START + 51 * DAY}"]
    (tmp_path / "ids.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    told = _told("learn", run, tmp_path / "ids.csv")
    assert (told["accepted"], told["counted"], told["held"]) == (151, 31, 120)
    assert _told("recommend", run, "--user", "00001")["items"]
    assert _told("recommend", run, "--user", "B00X")["items"]


def test_a_clock_that_was_never_set_costs_its_row_where_that_is_asked_for(run: Path, tmp_path: Path) -> None:
    now = START + 50 * DAY
    rows = [f"u3,i1,{now}", "u4,i2,0", f"u5,i3,{now + 1}", f"u6,i4,{now + 5000 * DAY}"]
    (tmp_path / "clocks.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    refused = _dynmm("learn", run, tmp_path / "clocks.csv")
    assert refused.exit_code == 2
    assert "--skip-bad" in refused.stderr
    told = _told("learn", run, tmp_path / "clocks.csv", "--skip-bad")
    assert (told["counted"], told["left_out"], told["late_clocks"]) == (3, {"timestamp out of range": 1}, 1)
    words = _dynmm("learn", run, tmp_path / "clocks.csv", "--skip-bad").stderr
    assert "1 rows are left out: timestamp out of range" in words


def test_empty_lines_at_the_end_are_no_rows_and_a_missing_time_has_a_mend_that_can_be_done(
    run: Path, tmp_path: Path
) -> None:
    head, table = "event_id,user_id,item_id,timestamp", tmp_path / "lines.csv"
    for rows, count in (([f"x1,u3,i1,{START + 50 * DAY}", "", ""], 1), ([""], 0), ([], 0)):
        table.write_text("\n".join([head, *rows]) + "\n")
        assert _told("learn", run, table)["accepted"] == count
    table.write_text("\n".join([head, "", f"x2,u3,i1,{START + 50 * DAY}"]) + "\n")
    assert "row 0, column 'user_id'" in _dynmm("learn", run, table).stderr
    table.write_text("\n".join([head, f"x3,u3,i1,{START + 50 * DAY}", "x4,u3,i1,"]) + "\n")
    words = _dynmm("learn", run, table).stderr
    assert "row 1, column 'timestamp'" in words
    assert "the data of this run's fit has a time for every event" in words
    assert "time_resolution" not in words


def test_nobody_is_deleted_where_the_certificate_cannot_be_written(run: Path, tmp_path: Path) -> None:
    result = _dynmm("forget", run, "--user", "u3", "--out", tmp_path / "nowhere" / "certificate.json")
    assert result.exit_code == 2
    assert "nothing was deleted" in result.stderr
    assert _told("recommend", run, "--user", "u3")["items"]


def test_a_run_whose_log_is_gone_says_so(run: Path, events: Path) -> None:
    _told("learn", run, events)
    (run / "state" / "events.sqlite").unlink()
    result = _dynmm("recommend", run, "--user", "u3")
    assert result.exit_code == 2
    assert "the log of this run is gone" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("learn", "RUN", "BAD"), "'item_id' is missing"),
        (("learn", "RUN", "ODD"), "not from .txt"),
        (("forget", "RUN", "--user", "nobody"), "unknown user 'nobody'"),
        (("diff", "RUN", "--user", "u3", "--from", "5", "--to", "4"), "runs backwards"),
        (("rollback", "RUN", "--version", "77"), "no version 77 to go back to; it keeps 0"),
        (("recommend", "RUN", "--user", "u3", "--as-of", "1"), "before the end of the fit"),
    ],
)
def test_mistakes_are_told_in_one_line(run: Path, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    (tmp_path / "bad.csv").write_text("user_id,timestamp\nu1,1600000000000\n")
    (tmp_path / "odd.txt").write_text("dear diary")
    named = {"RUN": str(run), "BAD": str(tmp_path / "bad.csv"), "ODD": str(tmp_path / "odd.txt")}
    result = _dynmm(*(named.get(one, one) for one in arguments))
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_where_no_item_can_be_added_learn_says_so(run: Path, tmp_path: Path) -> None:
    rows = {"user_id": ["u3"], "item_id": ["fresh"], "timestamp": [START + 50 * DAY]}
    pl.DataFrame(rows).write_csv(tmp_path / "fresh.csv")
    assert "Recommender.add_items adds them" in _dynmm("learn", run, tmp_path / "fresh.csv").stderr
    (tmp_path / "bare").mkdir()
    bare = _fit(tmp_path / "bare", "fusion.variant=off", "evidence.variant=off", "adapter.variant=off")
    words = _dynmm("learn", bare, tmp_path / "fresh.csv").stderr
    assert "1 events wait for items" in words
    assert "fit again" in words


def test_fit_keeps_a_run_that_has_learned_unless_told_otherwise(run: Path, fitted: Path, events: Path) -> None:
    assert _dynmm("learn", run, events).exit_code == 0
    call = ["fit", str(fitted.parent), "--out", str(run), *(part for one in _QUICK for part in ("--set", one))]
    refused = _dynmm(*call)
    assert refused.exit_code == 2
    assert "has learned 20 events since its fit" in refused.stderr
    assert "--overwrite" in refused.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DYNMM_CACHE", str(fitted.parent / "cache"))
        assert _dynmm(*call, "--overwrite").exit_code == 0
    assert _dynmm(*call).exit_code == 0, "what has learned nothing is replaced as before"
