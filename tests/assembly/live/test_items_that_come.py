"""Items that come to a run: what a log once tells of must be readable whenever it is read again."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.assembly.live.made import events_of, state_of

from dynmm import Recommender
from dynmm.assembly.arrivals import Arrival, write_arrival
from dynmm.assembly.logkeeping import _usable
from dynmm.assembly.snapshotting import live_sha256
from dynmm.errors import ArtefactError, StorageError
from dynmm.stream.events import Mark
from dynmm.stream.snapshots import Snapshot


@pytest.mark.parametrize("values", [(["sad"], "sad"), (datetime.date(2020, 1, 1), ["sad"])])
def test_a_further_column_may_come_in_another_type(run: Path, values: tuple[Any, Any]) -> None:
    """It was refused once the log told of the items, and then whenever the run was opened."""
    with Recommender.from_pretrained(run) as recommender:
        for number, value in enumerate(values):
            recommender.add_items([{"item_id": f"new{number}", "title": "Film 5", "mood": value}])
        recommender.learn(events_of(10))
        state = live_sha256(recommender)
        recommender.explain("u1", "new1")
    assert state_of(run) == state


def _killed_while_adding(run: Path, item: str) -> None:
    """Between what is known of the item and the log, which does not tell of it."""

    def killed(kind: str, payload: Mapping[str, Any]) -> Mark:
        raise KeyboardInterrupt

    recommender = Recommender.from_pretrained(run)
    recommender.learn(events_of(5))
    assert recommender.live is not None
    recommender.live.log.mark = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        recommender.add_items([{"item_id": item, "title": "Film 1"}])
    recommender.live.log.close()


@pytest.mark.parametrize("snapshot", [True, False])
def test_items_of_a_killed_call_are_not_taken_for_those_that_replace_them(
    run: Path, monkeypatch: pytest.MonkeyPatch, snapshot: bool
) -> None:
    """While one process opens the run, another adds items where the killed one had left its own."""
    _killed_while_adding(run, "stale")

    def meanwhile(*told: Any) -> Snapshot | None:
        monkeypatch.undo()
        with Recommender.from_pretrained(run) as other:
            other.add_items([{"item_id": "fresh", "title": "Film 7"}])
            other.learn([{**events_of(6)[5], "item_id": "fresh"}])
        if not snapshot:
            shutil.rmtree(run / "state" / "snapshots")
        return _usable(*told)

    monkeypatch.setattr("dynmm.assembly.logkeeping._usable", meanwhile)
    with Recommender.from_pretrained(run) as opened:
        assert list(opened.items.ids[30:]) == ["fresh"]
        assert live_sha256(opened) == state_of(run)
        opened.learn([{**events_of(7)[6], "item_id": "fresh"}])
        state = live_sha256(opened)
    assert state_of(run) == state


def test_what_a_killed_call_left_is_in_no_copy_and_not_in_the_way(run: Path) -> None:
    _killed_while_adding(run, "stale")
    left = run / "state" / "added" / ".000000.x1y2z3"
    left.mkdir()
    Recommender.from_pretrained(run).save_pretrained(run.parent / "copy")
    assert not list((run.parent / "copy" / "state").glob("added/*"))
    with Recommender.from_pretrained(run) as recommender:
        recommender.add_items([{"item_id": "fresh", "title": "Film 7"}])
    assert list(Recommender.from_pretrained(run).items.ids[30:]) == ["fresh"]
    assert not left.exists()


def test_items_of_which_it_is_not_known_whether_the_log_has_them_are_not_replaced(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refused when the mark was written, as far as the writer could tell."""
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(events_of(5))
        assert recommender.live is not None
        log = recommender.live.log
        written = log.mark

        def refused(*told: Any) -> Mark:
            written(*told)
            raise StorageError("the disk is away")

        monkeypatch.setattr(log, "mark", refused)
        with pytest.raises(StorageError, match="the disk is away"):
            recommender.add_items([{"item_id": "first", "title": "Film 1"}])
        monkeypatch.undo()
        recommender.add_items([{"item_id": "second", "title": "Film 2"}])
        assert recommender.titles[30:] == ("Film 1", "Film 2")
        state = live_sha256(recommender)
    assert state_of(run) == state


@pytest.mark.parametrize("snapshots", [True, False])
def test_a_run_that_holds_an_id_twice_is_refused_by_name(run: Path, snapshots: bool) -> None:
    """Two processes added it side by side, in a version that did not look."""
    with Recommender.from_pretrained(run) as recommender:
        recommender.add_items([{"item_id": "fresh", "title": "Film 1"}])
        recommender.add_items([{"item_id": "other", "title": "Film 2"}])
        recommender.learn(events_of(5))
        assert recommender.live is not None
        first, second = recommender.live.arrivals
    write_arrival(Arrival(first.table, second.features), run / "state", 1)
    if not snapshots:
        shutil.rmtree(run / "state" / "snapshots")
    for _ in range(2):
        with pytest.raises(ArtefactError) as told:
            Recommender.from_pretrained(run)
        for word in ("'fresh'", str(run / "state" / "added" / "000001"), "twice", "restore", "fit again"):
            assert word in str(told.value)
