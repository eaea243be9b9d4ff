"""Several that opened the same run: what one writes, the others take into account before they write."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.assembly.live.made import events_of, learn_all, state_of

from dynmm import Recommender
from dynmm.assembly import check_target
from dynmm.assembly.logkeeping import _usable, read_log
from dynmm.assembly.snapshotting import live_sha256, read_live
from dynmm.assembly.whole import whole_of
from dynmm.errors import ArtefactError, DataError, DynmmError, StorageError
from dynmm.storage import _put_in_place
from dynmm.stream.copying import copy_records
from dynmm.stream.snapshots import Snapshot


def test_an_item_that_others_added_meanwhile_is_known(run: Path) -> None:
    """In twice, its id would have one place and its latent two, and all that comes later the latent of another."""
    early = Recommender.from_pretrained(run)
    with Recommender.from_pretrained(run) as other:
        other.add_items([{"item_id": "fresh", "title": "Film 7"}])
    with early:
        with pytest.raises(DataError, match="'fresh' is known already; add_items takes new ones"):
            early.add_items([{"item_id": "own", "title": "Film 8"}, {"item_id": "fresh", "title": "Film 7"}])
        early.add_items([{"item_id": "own", "title": "Film 8"}])
        joint = whole_of(early).joint
        assert joint is not None
        assert list(early.items.ids[30:]) == ["fresh", "own"]
        assert early.titles[30:] == ("Film 7", "Film 8")
        assert joint.n_items == 32
        state = live_sha256(early)
    assert state_of(run) == state


def test_what_is_known_is_not_taken_in_a_second_time(unsaved: Recommender) -> None:
    table = unsaved.known.item_table.head(1)
    with pytest.raises(DataError, match="item 'i0' is known already"):
        unsaved.admit(table, unsaved.system)
    assert len(unsaved.items) == len(unsaved.titles) == 30
    assert unsaved.added is None


@pytest.mark.parametrize("end", ["well", "badly"])
def test_a_deletion_while_a_run_is_opened_is_noticed(run: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """Between reading the data of the fit, which has them, and the log, which has not."""

    def late(*told: Any) -> None:
        monkeypatch.undo()
        with Recommender.from_pretrained(run) as other:
            other.forget("u5")
        if end == "badly":
            raise ArtefactError("what does not fit together")
        read_log(*told)

    monkeypatch.setattr("dynmm.assembly.loading.read_log", late)
    with pytest.raises(ArtefactError, match=r"written anew while it was being opened.*open it again"):
        Recommender.from_pretrained(run)
    assert "u5" not in Recommender.from_pretrained(run).users


@pytest.mark.parametrize("later", [0, 40])
def test_a_deletion_from_the_log_while_a_run_is_opened_is_noticed(
    run: Path, monkeypatch: pytest.MonkeyPatch, later: int
) -> None:
    """Between the snapshot, which has them, and a log that is shorter now, or as long again with what came later."""
    learn_all(run, [*events_of(30), {**events_of(31)[30], "user_id": "gone"}])

    def late(recommender: Recommender, folder: Path) -> None:
        monkeypatch.undo()
        read_live(recommender, folder)
        with Recommender.from_pretrained(run) as other:
            other.forget("gone")
            other.learn(events_of(30 + later)[30:])

    monkeypatch.setattr("dynmm.assembly.logkeeping.read_live", late)
    with pytest.raises(ArtefactError, match=r"written anew while it was being opened.*open it again"):
        Recommender.from_pretrained(run)


def test_a_run_that_learns_is_not_replaced_beneath_its_log(run: Path, twin: Path) -> None:
    """Its log would stay open on files that are gone."""
    events = events_of(30)
    (run.parent / "link").symlink_to(run)
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(events[:20])
        for folder in (run, run.parent / "link"):
            with pytest.raises(DataError, match=r"keeps what it learns at once.*name another folder"):
                recommender.save_pretrained(folder)
        other = Recommender.from_pretrained(twin)
        with pytest.raises(StorageError, match=r"open for writing elsewhere.*close it there first"):
            other.save_pretrained(run)
        with pytest.raises(StorageError, match="open for writing elsewhere"):
            check_target(run)
        recommender.learn(events[20:])
        state = live_sha256(recommender)
    assert state_of(run) == state == learn_all(twin, events)
    # Once nobody writes, a run may be replaced.
    check_target(run, overwrite=True)
    Recommender.from_pretrained(run).save_pretrained(run)
    assert state_of(run) == state


@pytest.mark.parametrize("step", ["sweep", "check_same"])
def test_what_cannot_be_opened_for_writing_can_be_tried_again(
    run: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def refused(*_: object) -> None:
        raise StorageError("the disk is away")

    with Recommender.from_pretrained(run) as recommender:
        with monkeypatch.context() as patch:
            patch.setattr(f"dynmm.assembly.live.{step}", refused)
            with pytest.raises(StorageError, match="the disk is away") as kept:
                recommender.learn(events_of(5))
        assert kept.value is not None  # a caller who keeps the error keeps what it happened in
        recommender.learn(events_of(5))
        assert recommender.counted == 5


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_run_to_which_others_add_items_meanwhile_can_be_opened(
    run: Path, monkeypatch: pytest.MonkeyPatch, snapshot: bool
) -> None:
    """They come when the log is open already, which tells that they came."""
    learn_all(run, events_of(5))

    def early(*told: Any) -> Snapshot | None:
        monkeypatch.undo()
        with Recommender.from_pretrained(run) as other:
            other.add_items([{"item_id": "fresh", "title": "Film 7"}])
            other.learn(events_of(10)[5:])
        if not snapshot:
            shutil.rmtree(run / "state" / "snapshots")
        return _usable(*told)

    monkeypatch.setattr("dynmm.assembly.logkeeping._usable", early)
    opened = Recommender.from_pretrained(run)
    assert opened.title("fresh") == "Film 7"
    assert live_sha256(opened) == state_of(run)


def test_a_run_whose_snapshots_come_and_go_can_be_opened(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that its writer fills is not there any more when it is looked into."""
    learn_all(run, events_of(5))
    filled = run / "state" / "snapshots" / ".at-00000000000000000009-00.x1y2z3"
    filled.mkdir()
    look = os.scandir

    def late(path: Any) -> Any:
        if Path(path) == filled:
            filled.rmdir()
        return look(path)

    monkeypatch.setattr("os.scandir", late)
    monkeypatch.setattr("pathlib._scandir", late, raising=False)
    assert Recommender.from_pretrained(run).counted == 5


def test_a_snapshot_that_is_replaced_while_it_is_read_is_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learn_all(run, events_of(5))

    def late(recommender: Recommender, folder: Path) -> None:
        shutil.rmtree(folder)
        read_live(recommender, folder)

    monkeypatch.setattr("dynmm.assembly.logkeeping.read_live", late)
    with pytest.raises(ArtefactError, match=r"newer one.*while the run was being opened; open it again"):
        Recommender.from_pretrained(run)


def test_a_copy_of_what_had_no_log_yet_has_what_others_learned(run: Path) -> None:
    early = Recommender.from_pretrained(run)
    with Recommender.from_pretrained(run) as other:
        other.learn(events_of(20))
        other.add_items([{"item_id": "fresh", "title": "Film 7"}])
        state = live_sha256(other)
    early.save_pretrained(run.parent / "copy")
    assert state_of(run.parent / "copy") == state


def _tried_at_the_exchange(run: Path, other: Recommender, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What comes of an event that another writer has when a new `state/`, or run, is put in its place."""
    told: list[str] = []

    def late(beside: Path, target: Path) -> None:
        if target in (run, run / "state"):
            monkeypatch.undo()
            try:
                other.learn([{**events_of(1)[0], "event_id": "late"}])
            except DynmmError as error:
                told.append(str(error))
        _put_in_place(beside, target)

    monkeypatch.setattr("dynmm.storage._put_in_place", late)
    return told


def test_nobody_writes_to_a_log_that_a_deletion_puts_away(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their event would be acknowledged, and gone with the old log."""
    learn_all(run, events_of(20))
    other = Recommender.from_pretrained(run)
    told = _tried_at_the_exchange(run, other, monkeypatch)
    with Recommender.from_pretrained(run) as recommender:
        recommender.forget("u1")
        state = live_sha256(recommender)
    assert len(told) == 1
    assert "one process writes at a time" in told[0]
    with pytest.raises(DynmmError, match="written anew"):
        other.learn(events_of(1))
    assert state_of(run) == state


def test_nobody_writes_to_a_run_that_is_replaced(run: Path, twin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Recommender.from_pretrained(run)  # which has no log yet
    told = _tried_at_the_exchange(run, other, monkeypatch)
    Recommender.from_pretrained(twin).save_pretrained(run)
    assert len(told) == 1
    assert "one process writes at a time" in told[0]
    with other, pytest.raises(DynmmError, match="written anew"):
        other.learn(events_of(3))
    assert Recommender.from_pretrained(run).counted == 0


@pytest.mark.parametrize("user", ["u1", "gone", "late"])
def test_a_deletion_while_a_copy_is_saved_is_noticed(run: Path, monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    """Of somebody of the fit, of somebody whom the log alone has, and of somebody who came since the run was opened."""
    learn_all(run, [{**one, "user_id": "gone"} for one in events_of(5)])
    early = Recommender.from_pretrained(run)
    learn_all(run, [{**one, "user_id": "late"} for one in events_of(9)[5:]])

    def late(*told: Any, **options: Any) -> int:
        copied = copy_records(*told, **options)
        monkeypatch.undo()
        with Recommender.from_pretrained(run) as other:
            other.forget(user)
        return copied

    monkeypatch.setattr("dynmm.assembly.logkeeping.copy_records", late)
    with pytest.raises(DynmmError, match="Open the run again"):
        early.save_pretrained(run.parent / "copy")
    assert not (run.parent / "copy").exists()


def test_a_version_that_others_made_meanwhile_can_be_gone_back_to(run: Path) -> None:
    early = Recommender.from_pretrained(run)
    with Recommender.from_pretrained(run) as other:
        other.add_items([{"item_id": "fresh", "title": "Film 7"}])
        other.learn(events_of(120))
        wanted = min(one.version for one in other.versions if one.version)
    with early:
        early.rollback(wanted)
        assert [one.version for one in early.versions if one.serves] == [wanted]
