"""What was acknowledged is not written over, not passed over and not read over: by a closed run, a cut log, a kill."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from tests.assembly.live.made import events_of, learn_all, state_of

from dynmm import Recommender
from dynmm.assembly.live import live_of
from dynmm.assembly.logkeeping import close_live
from dynmm.errors import ArtefactError, ConfigError, DataError, StorageError, TamperedArtefact
from dynmm.stream.sqlite_log import SqliteLog


def test_a_closed_run_deletes_nothing_of_what_others_have_written_since(run: Path) -> None:
    events = events_of(30)
    early = Recommender.from_pretrained(run)
    early.learn(events[:10])
    early.close()
    with Recommender.from_pretrained(run) as other:
        other.learn(events[10:20])
        for write in (lambda: early.forget("u5"), lambda: early.learn(events[20:]), lambda: early.rollback(0)):
            with pytest.raises(StorageError, match="was closed; open it again"):
                write()
        other.learn(events[20:])
        assert other.offset == early.offset + 20
    assert Recommender.from_pretrained(run).offset == other.offset


def test_a_closed_run_is_saved_as_it_lies_on_the_disk(run: Path, tmp_path: Path) -> None:
    events = events_of(20)
    early = Recommender.from_pretrained(run)
    early.learn(events[:10])
    early.forget("u5")
    early.close()
    early.close()
    early.save_pretrained(tmp_path / "copy")
    assert state_of(tmp_path / "copy") == state_of(run)
    with Recommender.from_pretrained(run) as other:
        other.learn(events[10:])
    early.save_pretrained(tmp_path / "later")
    assert state_of(tmp_path / "later") == state_of(run)


def test_a_log_that_lost_what_a_snapshot_knows_is_refused_to_readers_too(run: Path) -> None:
    learn_all(run, events_of(20))
    snapshots = run / "state" / "snapshots"
    assert any(snapshots.glob("at-*"))
    for left in (run / "state").glob("events.sqlite*"):
        left.unlink()
    with pytest.raises(ArtefactError, match="the log of this run is gone"):
        Recommender.from_pretrained(run)
    SqliteLog(run / "state" / "events.sqlite").close()
    with pytest.raises(TamperedArtefact, match=r"ends at offset 0, and the snapshot .* was made of 20 events"):
        Recommender.from_pretrained(run)
    shutil.rmtree(snapshots)
    assert live_of(Recommender.from_pretrained(run)).offset == 0


def test_a_log_that_ends_before_its_seal_is_refused_to_readers_too(run: Path) -> None:
    learn_all(run, events_of(20))
    shutil.rmtree(run / "state" / "snapshots")
    with sqlite3.connect(run / "state" / "events.sqlite") as connection:
        connection.execute("DELETE FROM records WHERE place >= 10")
    connection.close()
    with pytest.raises(TamperedArtefact, match="closed at offset 20"):
        Recommender.from_pretrained(run)


def test_many_events_in_one_call_are_snapshots_apart(run: Path) -> None:
    """So a kill in the middle costs as little as between calls."""
    events = events_of(50)
    whole = Recommender.from_pretrained(run)
    live_of(whole).settings = live_of(whole).settings.model_copy(update={"snapshot_every": 20})
    with whole:
        assert whole.learn([*events, events[-1]]).duplicates == 1
        taken = sorted(int(one.name[3:23]) for one in (run / "state" / "snapshots").glob("at-*"))
        assert taken == [20, 40]


def test_pieces_of_one_call_tell_of_all_conflicts(run: Path) -> None:
    events = events_of(30)
    recommender = Recommender.from_pretrained(run)
    live_of(recommender).settings = live_of(recommender).settings.model_copy(update={"snapshot_every": 8})
    with recommender:
        recommender.learn(events)
        others = [{**one, "item_id": "i29" if one["item_id"] != "i29" else "i28"} for one in events]
        with pytest.raises(DataError, match=r"30 such events.*0 new, 0 were there already"):
            recommender.learn(others)


def test_a_deletion_where_the_folder_cannot_be_exchanged_changes_nothing(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(events_of(20))
        monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "state")
        with pytest.raises(StorageError, match="is a file system of its own"):
            recommender.forget("u5")
        monkeypatch.undo()
        assert recommender.recommend("u5", 3)
        assert recommender.forget("u5")["user"] == "u5"


def test_a_moment_that_no_clock_shows_is_named_with_what_a_run_can_do(run: Path) -> None:
    event = events_of(1)[0]
    with Recommender.from_pretrained(run) as recommender:
        for wrong in (0, 5):
            with pytest.raises(DataError, match=r"is not between the years 1971 and 2200.*that of now"):
                recommender.learn([{**event, "timestamp": wrong}])
        with pytest.raises(DataError, match="looks like seconds"):
            recommender.learn([{**event, "timestamp": 1_700_000_000}])
        assert recommender.learn([event, {**event, "event_id": "x", "timestamp": 5}], skip_bad=True).accepted == 1


def test_lists_of_no_item_are_refused_where_two_moments_are_compared(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        start = recommender.offset
        recommender.learn(events_of(5))
        with pytest.raises(ConfigError, match="k is 0"):
            recommender.moves("u5", start, recommender.offset, 0)
    close_live(recommender)  # again does nothing
