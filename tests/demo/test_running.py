"""The whole demo on a small world: what it prints, writes and leaves behind."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.worlds import QUICK, write_circles

from dynmm.cli import main
from dynmm.demo import running
from dynmm.demo.worlds import world_with_newcomers
from dynmm.recommender import Recommender


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Result, Path]]:
    """`dynmm demo` without data, in a world of a few seconds."""
    out = tmp_path_factory.mktemp("demo")
    small = partial(world_with_newcomers, users=60, items=60, events=1_500, newcomers=9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DYNMM_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(running, "world_with_newcomers", small)
        patch.setattr(running, "CONFIG", QUICK)
        yield CliRunner().invoke(main, ["demo", "--out", str(out), "--device", "cpu"]), out


def test_it_prints_accuracy_recommendations_and_what_each_sense_explains(made: tuple[Result, Path]) -> None:
    result, out = made
    assert result.exit_code == 0, result.output
    assert "dynmm/backbone" in result.stdout
    assert result.stdout.count("watched, newest first") == running.USERS
    told = re.findall(r"^(?:A|No) recommendation (?:that )?is owed to a (picture|sound) alone$", result.stdout, re.M)
    assert told == ["picture", "sound"]
    assert f"Open {out / 'report.html'}" in result.stdout


def test_the_report_shows_what_it_speaks_of(made: tuple[Result, Path]) -> None:
    page = (made[1] / "report.html").read_text(encoding="utf-8")
    owed = page.count("that is owed to a")
    shown = re.findall(r'(?:src="data:(?:image/png|audio/wav);base64,)([^"]+)"', page)
    assert len(shown) >= owed
    assert all(base64.b64decode(one)[:4] in (b"\x89PNG", b"RIFF") for one in shown)
    assert "<script" not in page


def test_the_run_holds_the_newcomers(made: tuple[Result, Path]) -> None:
    recommender = Recommender.from_pretrained(made[1] / "run", device="cpu")
    assert len(recommender.items) == recommender.known.n_items + 9


def test_data_without_pictures_is_told_where_to_see_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_circles(str(tmp_path))
    monkeypatch.setenv("DYNMM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(running, "CONFIG", QUICK)
    result = CliRunner().invoke(main, ["demo", "--data", str(tmp_path), "--out", str(tmp_path / "demo")])
    assert result.exit_code == 0, result.output
    assert "`dynmm demo` without --data simulates a small world that has both" in result.stdout
    assert "neither a picture nor a sound" in (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
