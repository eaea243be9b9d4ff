"""What is left when somebody was forgotten: nothing that moves, and no trace in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.assembly.live.made import CONFIG, events_of, learn_all, state_of
from tests.worlds import DAY, START, circles

from dynmm import Dataset, DatasetInfo, Recommender
from dynmm.assembly import FitOptions, store_of
from dynmm.assembly.live import follow
from dynmm.assembly.snapshotting import live_sha256
from dynmm.assembly.whole import whole_of
from dynmm.backbone.system import Backbone
from dynmm.config import DataSettings
from dynmm.errors import DynmmError, ProtocolMismatch, StorageError, UnknownIdError
from dynmm.evidence.ledger import Ledger
from dynmm.fusion.joint import Joint
from dynmm.measurement import evaluate, stream


def public_of(recommender: Recommender) -> Any:
    """When each item was released to the public, and what it is told of somebody else's list."""
    store = store_of(recommender)
    releases = [store.released(item, every) for item in recommender.items.ids for every in (5, 50)]
    answers = recommender.recommend("u2", k=5, explain=True, view="public")
    return releases, [one.rationale and one.rationale.as_json() for one in answers]


def test_the_public_reads_as_if_they_had_never_been_there(run: Path, twin: Path) -> None:
    """The moments of releases follow from the events of the fit: of a fit that had no such user."""
    events, user = events_of(), "u4"
    learn_all(run, events)
    with Recommender.from_pretrained(run) as recommender:
        before = public_of(recommender)
        recommender.forget(user)
        told = public_of(recommender)
    assert told != before
    with Recommender.from_pretrained(twin) as other:
        other.forget(user)
        other.learn([one for one in events if one["user_id"] != user])
        assert public_of(other) == told
    assert public_of(Recommender.from_pretrained(run)) == told
    interactions, items = circles()
    never = Dataset.from_frames(interactions.filter(pl.col("user_id") != user), items)
    with Recommender.from_pretrained(run) as again:
        assert store_of(again).ledger.postings.secret == Ledger.of(never).postings.secret


@pytest.mark.parametrize("user", ["u65", "u4"])
def test_forgotten_it_is_as_if_they_had_never_been_there(run: Path, twin: Path, user: str) -> None:
    events = events_of()
    learn_all(run, events)
    with Recommender.from_pretrained(run) as recommender:
        known = user in recommender.known.users
        certificate = recommender.forget(user)
        state = live_sha256(recommender)
        assert user not in recommender.users
    with Recommender.from_pretrained(twin) as other:
        if known:
            other.forget(user)
        other.learn([one for one in events if one["user_id"] != user])
        assert live_sha256(other) == state == certificate["state_sha256"]
    assert state_of(run) == state
    assert certificate["deleted"]["events in the log"] == sum(one["user_id"] == user for one in events)
    assert bool(certificate["deleted"]["events of the fit"]) == known
    assert any("weights" in one for one in certificate["not_covered"])
    with pytest.raises(UnknownIdError):
        Recommender.from_pretrained(run).recommend(user)


def test_no_file_of_the_state_names_who_was_forgotten(run: Path) -> None:
    events = [{**one, "user_id": "somebody-to-forget"} for one in events_of(5)]
    learn_all(run, [*events, *[{**one, "event_id": f"f{one['event_id']}"} for one in events_of(20)]])
    assert any(b"somebody-to-forget" in path.read_bytes() for path in run.rglob("*") if path.is_file())
    with Recommender.from_pretrained(run) as recommender:
        recommender.forget("somebody-to-forget")
    assert not any(b"somebody-to-forget" in path.read_bytes() for path in run.rglob("*") if path.is_file())


def test_after_a_deletion_no_event_without_an_id_is_taken_for_another(run: Path) -> None:
    bare = [{name: one[name] for name in ("user_id", "item_id", "timestamp")} for one in events_of(60)]
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(bare)
        recommender.forget(bare[0]["user_id"])
        offset = recommender.offset
        # The last one comes again, and is another event: nobody said that it is the same.
        recommender.learn([bare[-1], *bare[-1:]])
        assert recommender.offset == offset + 2


def test_forgetting_somebody_whose_events_wait(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn([{"event_id": "x", "user_id": "ghost", "item_id": "none", "timestamp": START}])
        assert recommender.forget("ghost")["deleted"]["events in the log"] == 1
        assert recommender.held == 0
        with pytest.raises(UnknownIdError, match="'nobody'"):
            recommender.forget("nobody")


def test_nobody_is_remembered_in_memory(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        recommender.recommend("u1", k=3)
        space = whole_of(recommender).frozen_space
        assert isinstance(space, Joint | Backbone)
        assert len(space.recent) == 1
        recommender.forget("u1")
        assert len(space.recent) == 0


@pytest.mark.parametrize(("split", "measure"), [("full", evaluate), ("stream", stream)])
def test_a_run_from_which_somebody_left_is_not_measured(
    tmp_path: Path, split: str, measure: Callable[..., Any]
) -> None:
    interactions, items = circles()
    data = Dataset.from_frames(interactions, items, info=DatasetInfo("circles", "film", "watched", "second"))
    recommender = Recommender.fit(data, CONFIG, split=split, options=FitOptions(cache=tmp_path / "cache"))
    recommender.learn(events_of(5))
    assert recommender.forget("u1")["deleted"]["events of the fit"] > 0
    with pytest.raises(ProtocolMismatch, match="people were deleted from this run since its fit"):
        measure(recommender, systems=["popularity"])
    recommender.save_pretrained(tmp_path / "run")
    again = Recommender.from_pretrained(tmp_path / "run")
    assert live_sha256(again) == live_sha256(recommender)


def test_who_has_only_events_that_do_not_count_can_leave(run: Path) -> None:
    disliked = {"event_id": "x", "user_id": "ghost", "item_id": "i1", "timestamp": START + 100 * DAY, "rating": 1.0}
    with Recommender.from_pretrained(run) as recommender:
        assert recommender.live is not None
        recommender.live.data = DataSettings(min_rating=4.0)
        recommender.learn([disliked])
        assert "ghost" not in recommender.users
        assert recommender.forget("ghost")["deleted"]["events in the log"] == 1
    assert not any(b"ghost" in path.read_bytes() for path in run.rglob("*") if path.is_file())


@pytest.mark.parametrize("step", ["sweep", "follow"])
def test_a_deletion_that_is_stopped_brings_nobody_back(
    run: Path, twin: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Behind the exchange of the folders: closing must not keep what the process still knows."""
    events = events_of(80)
    learn_all(run, events[:60])
    (run / "candidates").mkdir()
    (run / "candidates" / "u65").touch()

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Recommender.from_pretrained(run) as recommender:
        recommender.learn(events[60:])
        monkeypatch.setattr(f"dynmm.assembly.forgetting.{step}", stopped)
        recommender.forget("u65")
    monkeypatch.undo()
    assert not list((run / "state" / "snapshots").glob("at-*"))
    assert not (run / "candidates").exists()
    rest = [one for one in events if one["user_id"] != "u65"]
    with Recommender.from_pretrained(run) as again:
        again.learn(rest[-1:])
        assert "u65" not in again.users
    assert state_of(run) == learn_all(twin, rest)
    assert not any(b'"u65"' in path.read_bytes() for path in run.rglob("*") if path.is_file())


@pytest.mark.parametrize("step", ["sweep", "follow"])
def test_after_a_deletion_that_was_stopped_the_error_says_so(
    run: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def stopped(*_: object) -> None:
        raise StorageError("the disk is away")

    learn_all(run, events_of(20))
    with Recommender.from_pretrained(run) as recommender:
        with monkeypatch.context() as patch:
            patch.setattr(f"dynmm.assembly.forgetting.{step}", stopped)
            with pytest.raises(StorageError, match="the disk is away"):
                recommender.forget("u1")
        for refused in (
            lambda: recommender.learn(events_of(1)),
            lambda: recommender.forget("u1"),
            lambda: recommender.recommend("u1"),
            lambda: recommender.recommend_many(["u2"]),
            lambda: recommender.recommend_session(["i1"]),
            lambda: recommender.rank("u1", ["i1", "i2"]),
            lambda: recommender.explain("u1", "i1"),
            lambda: recommender.importance("u1", "i1"),
            lambda: recommender.similar("i1"),
            lambda: recommender.verify({}),
            lambda: recommender.history("u1"),
            lambda: recommender.save_pretrained(run.parent / "copy"),
        ):
            with pytest.raises(DynmmError, match=r"a deletion was stopped.*Open the run again"):
                refused()
    assert Recommender.from_pretrained(run).recommend("u2")


def test_a_deletion_that_was_refused_before_it_began_changes_nothing(
    run: Path, twin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise StorageError("the disk is full")

    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(events_of(20))
        with monkeypatch.context() as patch:
            patch.setattr("dynmm.assembly.forgetting.copy_records", stopped)
            with pytest.raises(StorageError, match="the disk is full"):
                recommender.forget("u1")
        assert recommender.recommend("u1")
        recommender.learn(events_of(30)[20:])
        assert live_sha256(recommender) == learn_all(twin, events_of(30))
        recommender.forget("u1")


def test_a_deletion_whose_snapshot_is_refused_has_its_certificate(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are gone by then; asked again, nobody would know them, and nobody could certify it."""

    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    learn_all(run, events_of(20))
    with Recommender.from_pretrained(run) as recommender:
        with monkeypatch.context() as patch, caplog.at_level("WARNING"):
            patch.setattr("dynmm.assembly.logkeeping._put", full)
            certificate = recommender.forget("u1")
        assert "the disk is full" in caplog.text
        assert recommender.recommend("u2")
    assert state_of(run) == certificate["state_sha256"]


def test_a_deletion_goes_on_answering_while_it_works(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is learned anew from the log, which takes its time."""
    asked = []

    def working(*told: Any) -> None:
        asked.append(recommender.recommend("u2", k=3))
        follow(*told)

    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(events_of(20))
        monkeypatch.setattr("dynmm.assembly.forgetting.follow", working)
        recommender.forget("u1")
        assert asked
        assert recommender.recommend("u2", k=3)


def test_an_old_log_that_stays_on_the_disk_is_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learn_all(run, events_of(20))

    def refused(folder: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise PermissionError(13, "Permission denied", str(folder))

    with monkeypatch.context() as patch, Recommender.from_pretrained(run) as recommender:
        patch.setattr("dynmm.storage.shutil.rmtree", refused)
        with pytest.raises(StorageError, match=r"\.state\..* could not be removed: Permission denied.*remove it"):
            recommender.forget("u1")
    with Recommender.from_pretrained(run) as again:
        again.learn([{**one, "event_id": "later"} for one in events_of(1)])
    assert not list(run.glob(".state.*"))
