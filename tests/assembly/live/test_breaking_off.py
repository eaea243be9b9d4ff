"""What breaks off, runs side by side, or was rewritten meanwhile: no event is lost, doubled or brought back."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.assembly.live.made import events_of, learn_all, state_of

from dynmm import Recommender
from dynmm.assembly.snapshotting import live_sha256
from dynmm.assembly.whole import Whole
from dynmm.errors import DynmmError, StorageError
from dynmm.stream.chain import MARK, Record
from dynmm.stream.copying import copy_records
from dynmm.stream.events import Event, Mark, Receipt
from dynmm.stream.sqlite_log import SqliteLog
from dynmm.stream.sqlite_writing import write_records


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_learning_that_breaks_off_loses_nothing(
    run: Path, twin: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """An interrupt within an event's count; the snapshot that closing takes must not say that it counted."""
    events = events_of(100)
    learn, calls = Whole.learn, []

    def breaking(self: Whole, batch: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise error
        learn(self, batch)

    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(events[:40])
        with monkeypatch.context() as patch:
            patch.setattr(Whole, "learn", breaking)
            patch.setattr("dynmm.assembly.waiting._PORTION", 20)
            with pytest.raises(error):
                recommender.learn(events[40:])
        for refused in (
            lambda: recommender.learn(events[:1]),
            lambda: recommender.forget("u1"),
            lambda: recommender.rollback(0),
            lambda: recommender.add_items([{"item_id": "new", "title": "Film 5"}]),
            lambda: recommender.save_pretrained(run.parent / "copy"),
        ):
            with pytest.raises(DynmmError, match="Open the run again"):
                refused()
    assert not (run.parent / "copy").exists()
    reopened = Recommender.from_pretrained(run)
    assert reopened.counted == 100
    assert live_sha256(reopened) == learn_all(twin, events)


def test_a_window_whose_end_cannot_be_written_down_refuses_no_event(
    run: Path, twin: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are in the log; told that they were refused, whoever gives no ids would send them a second time."""
    bare = [{name: one[name] for name in ("user_id", "item_id", "timestamp")} for one in events_of(60)]

    def full(*_: object) -> Mark:
        raise StorageError("the disk is full")

    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(bare[:10])
        assert recommender.live is not None
        with monkeypatch.context() as patch, caplog.at_level("WARNING"):
            patch.setattr(recommender.live.log, "mark", full)
            assert recommender.learn(bare[10:40]).accepted == 30
        assert "the disk is full" in caplog.text
        recommender.learn(bare[40:])
        assert recommender.counted == 60
        state = live_sha256(recommender)
    assert state == learn_all(twin, bare)
    assert state_of(run) == state
    for state_folder in (run / "state" / "snapshots", twin / "state" / "snapshots"):
        shutil.rmtree(state_folder)
    assert state_of(run) == state_of(twin) == state


def test_a_window_whose_end_the_disk_refuses_does_not_ask_for_the_events_again(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(events_of(10))
        assert recommender.live is not None
        log, real = recommender.live.log, write_records
        assert isinstance(log, SqliteLog)

        def failing(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
            real(connection, records)
            if any(one.what == MARK for one in records):
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorname = "SQLITE_IOERR"
                raise error

        monkeypatch.setattr("dynmm.stream.sqlite_log.write_records", failing)
        recommender.learn(events_of(40)[10:])
        monkeypatch.undo()
    (told,) = [one.getMessage() for one in caplog.records if "the end of window" in one.getMessage()]
    assert "nothing is to be sent again; free some space or check the disk: disk I/O error" in told
    assert "send the events again" not in told


def test_the_end_of_a_window_that_was_written_and_refused_is_there_once(
    run: Path, twin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk took it, and the answer of the commit was an error: the log learns of it when it is written again."""
    events = events_of(40)
    recommender = Recommender.from_pretrained(run)
    recommender.learn(events[:10])
    assert recommender.live is not None
    log = recommender.live.log
    assert isinstance(log, SqliteLog)
    mark, before = log.mark, log.marks

    def written_and_refused(*told: Any) -> Mark:
        state = log._state
        mark(*told)
        log._state, log._doubtful = state, True
        raise StorageError("the disk is away")

    with monkeypatch.context() as patch:
        patch.setattr(log, "mark", written_and_refused)
        recommender.learn(events[10:])
    assert log.marks == before
    recommender.close()
    shutil.rmtree(run / "state" / "snapshots")
    assert state_of(run) == learn_all(twin, events)


@pytest.mark.parametrize("told_again", [0, 2, 3])
def test_events_without_ids_that_were_stored_and_refused_are_in_nobodys_way(
    run: Path, twin: Path, monkeypatch: pytest.MonkeyPatch, told_again: int
) -> None:
    """The disk took three, and the answer was an error. What comes then begins with none, two or all of them."""
    bare = [{name: one[name] for name in ("user_id", "item_id", "timestamp")} for one in events_of(40)]
    again = bare[10 : 10 + told_again]
    recommender = Recommender.from_pretrained(run)
    recommender.learn(bare[:10])
    assert recommender.live is not None
    log = recommender.live.log
    assert isinstance(log, SqliteLog)
    append = log.append

    def stored_and_refused(events: Sequence[Event]) -> Receipt:
        state = log._state
        receipt = append(events)
        if events:
            log._state, log._doubtful = state, True
            raise StorageError("the disk is away")
        return receipt

    with monkeypatch.context() as patch:
        patch.setattr(log, "append", stored_and_refused)
        with pytest.raises(StorageError):
            recommender.learn(bare[10:13])
    learned = recommender.learn([*again, *bare[20:23]])
    assert (learned.accepted, learned.duplicates) == (3, told_again)
    # Once it was answered, the same again is new: without ids there is nothing to know it by.
    assert recommender.learn(bare[20:23]).accepted == 3
    recommender.close()
    once = [*bare[:13], *bare[20:23], *bare[20:23]]
    with Recommender.from_pretrained(twin) as other:
        for start, stop in ((0, 10), (10, 13), (13, 16), (16, 19)):
            other.learn(once[start:stop])
        assert live_sha256(Recommender.from_pretrained(run)) == live_sha256(other)


def test_threads_that_learn_side_by_side_count_each_event_once(run: Path) -> None:
    events = events_of(240)
    recommender = Recommender.from_pretrained(run)
    failed: list[BaseException] = []

    def learn(part: list[dict[str, Any]]) -> None:
        try:
            for start in range(0, len(part), 3):
                recommender.learn(part[start : start + 3])
        except BaseException as error:  # noqa: BLE001  # told below
            failed.append(error)

    threads = [threading.Thread(target=learn, args=(events[number::4],)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with recommender:
        assert failed == []
        assert recommender.counted == 240
        state = live_sha256(recommender)
    assert state_of(run) == state
    shutil.rmtree(run / "state" / "snapshots")
    assert state_of(run) == state


def test_what_was_opened_before_a_deletion_writes_no_more(run: Path, twin: Path) -> None:
    """It knows who was deleted, and where the old log ended."""
    events = [{**one, "user_id": "gone" if n % 10 == 0 else one["user_id"]} for n, one in enumerate(events_of(100))]
    learn_all(run, events[:60])
    stale, recent = Recommender.from_pretrained(run), Recommender.from_pretrained(run)
    with Recommender.from_pretrained(run) as recommender:
        recommender.forget("gone")
    with stale, pytest.raises(DynmmError, match="written anew since this run was opened"):
        stale.learn(events[60:])
    assert state_of(run) == learn_all(twin, [one for one in events[:60] if one["user_id"] != "gone"])
    with recent, pytest.raises(DynmmError, match="Open the run again"):
        recent.forget("u1")


def test_what_was_opened_before_others_wrote_reads_on(run: Path, twin: Path) -> None:
    events = events_of(100)
    early = Recommender.from_pretrained(run)
    with Recommender.from_pretrained(run) as other, Recommender.from_pretrained(twin) as once:
        for one in (other, once):
            one.learn(events[:60])
            one.add_items([{"item_id": "fresh", "title": "Film 7"}])
    with early:
        early.learn(events[60:])
        assert live_sha256(early) == learn_all(twin, events[60:])


def test_what_a_deletion_left_behind_is_swept(run: Path) -> None:
    """Killed between the exchange of the folders and the removal of the old one."""
    learn_all(run, events_of(20))
    left = run / ".state.x1y2z3"
    shutil.copytree(run / "state", left)
    with Recommender.from_pretrained(run) as recommender:
        assert left.exists()  # whoever reads beside others changes nothing
        recommender.learn(events_of(25))
    assert not left.exists()
    assert state_of(run)


def test_what_was_opened_before_somebody_of_the_fit_left_writes_no_more(run: Path) -> None:
    """The log has nothing of them, so that it is the same as before; what was counted in the fit is not."""
    stale = Recommender.from_pretrained(run)
    with Recommender.from_pretrained(run) as recommender:
        recommender.forget("u1")
        state = live_sha256(recommender)
    with stale, pytest.raises(DynmmError, match="written anew since this run was opened"):
        stale.learn([one for one in events_of(30) if one["user_id"] != "u1"])
    assert state_of(run) == state


def test_a_copy_that_is_saved_while_others_learn_is_of_one_moment(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = events_of(60)
    copying, learned = threading.Event(), threading.Event()

    def slow(*told: Any, **options: Any) -> int:
        copied = copy_records(*told, **options)
        copying.set()
        learned.wait(1)  # long enough for whoever does not wait
        return copied

    monkeypatch.setattr("dynmm.assembly.logkeeping.copy_records", slow)
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(events[:30])
        state = live_sha256(recommender)

        def learn() -> None:
            copying.wait(30)
            recommender.learn(events[30:])
            learned.set()

        thread = threading.Thread(target=learn)
        thread.start()
        recommender.save_pretrained(run.parent / "copy")
        thread.join()
        assert recommender.counted == 60
    assert state_of(run.parent / "copy") == state


def test_a_copy_of_what_was_opened_before_others_wrote(run: Path) -> None:
    """With what they learned it is the run as it is now; after a deletion it would be the one that is gone."""
    learn_all(run, events_of(20))
    early = Recommender.from_pretrained(run)
    with Recommender.from_pretrained(run) as other:
        other.add_items([{"item_id": "fresh", "title": "Film 7"}])
    state = learn_all(run, events_of(40)[20:])
    early.save_pretrained(run.parent / "copy")
    assert state_of(run.parent / "copy") == state
    with Recommender.from_pretrained(run) as recommender:
        recommender.forget("u1")
    with pytest.raises(DynmmError, match="Open the run again"):
        early.save_pretrained(run.parent / "late")
