"""What decides on the length of windows stands in the log: a replay needs nothing but the log."""

from __future__ import annotations

import importlib.util
import logging
import shutil
from pathlib import Path

import pytest
from tests.assembly.live.made import ADAPTER, CONFIG, events_of, learn_all, state_of
from tests.worlds import circles

from dynmm import Dataset, DatasetInfo, Recommender
from dynmm.adapter import drift
from dynmm.assembly import FitOptions
from dynmm.assembly.whole import whole_of
from dynmm.stream.events import Entry, Mark
from dynmm.stream.sqlite_log import SqliteLog


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose windows hold an event each, so that they soon grow."""
    interactions, items = circles()
    data = Dataset.from_frames(interactions, items, info=DatasetInfo("circles", "film", "watched", "second"))
    folder = tmp_path_factory.mktemp("drifting")
    config = {**CONFIG, "adapter": {**ADAPTER, "drift": True, "window": "10m"}, "evidence": {"variant": "off"}}
    options = FitOptions(cache=folder / "cache")
    Recommender.fit(data, config, split="none", seed=3, options=options).save_pretrained(folder / "run")
    return folder / "run"


@pytest.fixture
def run(fitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fitted, tmp_path / "run"))


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """With nobody warned yet."""
    drift._warn_once.cache_clear()
    return monkeypatch


def _hide_river(patch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    patch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "river" else found(name, *rest))


def _power(run: Path) -> int:
    windows = whole_of(Recommender.from_pretrained(run)).windows
    assert windows is not None
    return windows.drift.verdict.power


def _forget_snapshots(run: Path) -> None:
    shutil.rmtree(run / "state" / "snapshots")


def test_written_where_the_library_is_it_replays_without(
    run: Path, bare: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("river")
    state = learn_all(run, events_of(70))
    assert _power(run) == 1
    _forget_snapshots(run)
    _hide_river(bare)
    with caplog.at_level(logging.WARNING):
        assert state_of(run) == state
        assert _power(run) == 1
    assert caplog.text.count("dynmm[online]") == 1


def test_written_without_the_library_it_replays_where_it_is(run: Path, bare: pytest.MonkeyPatch) -> None:
    pytest.importorskip("river")
    with bare.context() as patch:
        _hide_river(patch)
        state = learn_all(run, events_of(70))
    _forget_snapshots(run)
    assert state_of(run) == state
    assert _power(run) == 0


def test_marks_of_an_earlier_version_say_nothing_of_the_length(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("river")
    state = learn_all(run, events_of(70))
    with SqliteLog(run / "state" / "events.sqlite") as log, SqliteLog(tmp_path / "older.sqlite") as older:
        for record in log.read():
            if isinstance(record, Entry):
                older.append([record.event], received=record.received)
            else:
                assert isinstance(record, Mark)
                older.mark(record.kind, {name: one for name, one in record.payload.items() if name != "drift"})
    for name in (run / "state").glob("events.sqlite*"):
        name.unlink()
    shutil.copy(tmp_path / "older.sqlite", run / "state" / "events.sqlite")
    _forget_snapshots(run)
    assert state_of(run) == state
    assert _power(run) == 1


def test_the_library_is_loaded_before_events_come_and_not_to_ask(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("river")
    learn_all(run, events_of(70))
    loads, load = list[int](), drift._detector
    with Recommender.from_pretrained(run) as recommender:

        def noted() -> object:
            loads.append(recommender.offset)
            return load()

        monkeypatch.setattr(drift, "_detector", noted)
        recommender.recommend(recommender.users.ids[0], 2)
        assert not loads
        before = recommender.offset
        recommender.learn(events_of(140)[70:])
        assert loads == [before]
