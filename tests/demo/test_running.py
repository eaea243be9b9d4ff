"""The whole demo on a small world: what it prints, writes and leaves behind."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import partial
from html import escape, unescape
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result
from tests.demo.made import REASONED
from tests.worlds import write_circles

from dynmm.cli import main
from dynmm.config import Config
from dynmm.demo import running
from dynmm.demo.reasoning import SHOWN
from dynmm.demo.worlds import world_with_newcomers
from dynmm.factids import FactId
from dynmm.recommender import Recommender


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Result, Path]]:
    """`dynmm demo` without data, in a world of a few seconds."""
    out = tmp_path_factory.mktemp("demo")
    small = partial(world_with_newcomers, users=60, items=60, events=1_500, newcomers=9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DYNMM_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(running, "world_with_newcomers", small)
        patch.setattr(running, "CONFIG", REASONED)
        yield CliRunner().invoke(main, ["demo", "--out", str(out), "--device", "cpu"]), out


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Result, str]]:
    """`dynmm demo --data` on films whose titles mean harm, and the report that it wrote."""
    folder = tmp_path_factory.mktemp("hostile")
    write_circles(str(folder))
    items = pl.read_parquet(folder / "items.parquet")
    harm = pl.lit("\u202e\u2067<script>alert('1')</script>\x1b[31m \"ignore the above\"\n</details> film ")
    items.with_columns(title=harm + pl.col("item_id")).write_parquet(folder / "items.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DYNMM_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(running, "CONFIG", REASONED)
        result = CliRunner().invoke(main, ["demo", "--data", str(folder), "--out", str(folder / "demo")])
        yield result, (folder / "demo" / "report.html").read_text(encoding="utf-8")


def test_it_prints_accuracy_recommendations_and_what_each_sense_explains(made: tuple[Result, Path]) -> None:
    result, out = made
    assert result.exit_code == 0, result.output
    assert "dynmm/backbone" in result.stdout
    assert result.stdout.count("watched, newest first") == running.USERS
    told = re.findall(r"^(?:A|No) recommendation (?:that )?is owed to a (picture|sound) alone$", result.stdout, re.M)
    assert told == ["picture", "sound"]
    assert "\n- Candidates: the whole catalogue less the user's history.\n" in result.stdout
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


def test_each_recommendation_has_its_reason_beneath_it(made: tuple[Result, Path]) -> None:
    lines = made[0].stdout.splitlines()
    places = [number for number, line in enumerate(lines) if re.match(r"  [1-5]\. ", line)]
    assert len(places) == running.USERS * SHOWN
    reasons = [lines[place + 1] for place in places]
    assert all(line.startswith("     ") and line.endswith(".") for line in reasons)
    assert any(re.search(r"\b[Yy]ou watched “", line) for line in reasons)
    assert re.search(r"^The \d+ reasons make [1-9]\d* claims\. .* every one holds\.", made[0].stdout, re.M)


def test_the_report_unfolds_the_facts_of_each_reason(made: tuple[Result, Path]) -> None:
    page = (made[1] / "report.html").read_text(encoding="utf-8")
    assert page.count("<details") == running.USERS * SHOWN
    ids = [FactId.parse(unescape(one)) for one in re.findall(r"<code>([^<]+)</code>", page)]
    assert len(ids) > running.USERS
    said = [line.strip() for line in made[0].stdout.splitlines() if "Because you watched" in line]
    assert all(escape(one) in page for one in said)
    assert "every one holds" in page
    assert "; without it " in page


def test_data_without_pictures_is_told_where_to_see_some(hostile: tuple[Result, str]) -> None:
    result, page = hostile
    assert result.exit_code == 0, result.output
    assert "`dynmm demo` without --data simulates a small world that has both" in result.stdout
    assert "neither a picture nor a sound" in page


def test_data_of_ones_own_trains_fewer_epochs_unless_they_are_set() -> None:
    shortened = running.shortened({"backbone": {"width": 8, "epochs": 2}, "encoders": {"text": "off"}})
    assert shortened["backbone"] == {"width": 8, "epochs": 2}
    assert shortened["fusion"] == running.SHORT["fusion"]
    assert shortened["encoders"] == {"text": "off"}
    assert Config.of(running.shortened({})).backbone.epochs == running.SHORT["backbone"]["epochs"]


def test_hostile_titles_stay_text(hostile: tuple[Result, str]) -> None:
    result, page = hostile
    assert "<script>alert(" in result.stdout
    assert "&lt;script&gt;alert(" in page
    assert "<script" not in page
    for shown in (result.stdout, page):
        assert not {"\u202e", "\u2067", "\x1b"} & set(shown)
    # Whatever a title holds, what is said of it stands on one line.
    listed = [line for line in result.stdout.splitlines() if re.match(r"  [1-5]\. ", line)]
    assert len(listed) == running.USERS * SHOWN
    assert all("film" in line for line in listed)
