"""A run that goes on learning: from its log, durably, and the same however it came about."""

from __future__ import annotations

import logging
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.worlds import DAY, QUICK, START, circles

from dynmm import Dataset, DatasetInfo, Recommender
from dynmm.assembly import FitOptions
from dynmm.assembly.logkeeping import take_snapshot
from dynmm.assembly.snapshotting import live_sha256
from dynmm.assembly.whole import whole_of
from dynmm.errors import ArtefactError, DataError, ProtocolMismatch, StorageError, UnknownIdError, UnsupportedByData
from dynmm.measurement import evaluate
from dynmm.stream.sqlite_log import SqliteLog

_ADAPTER = {"guard_events": 5, "half_life": 50, "hidden": 16, "dims": 4, "near": 6, "negatives": 4, "drift": False}
_CONFIG = {**QUICK, "encoders": {"text": "hashed-words"}, "adapter": _ADAPTER, "rerank": "none"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with titles, evidence and an adapter, fitted to everything."""
    interactions, items = circles()
    data = Dataset.from_frames(interactions, items, info=DatasetInfo("circles", "film", "watched", "second"))
    options = FitOptions(cache=tmp_path_factory.mktemp("cache"))
    run = tmp_path_factory.mktemp("runs") / "run"
    Recommender.fit(data, _CONFIG, split="none", seed=3, options=options).save_pretrained(run)
    return run


@pytest.fixture
def run(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "run"))


@pytest.fixture
def twin(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "twin"))


def _events(count: int = 240, seed: int = 1) -> list[dict[str, Any]]:
    draws = random.Random(seed)
    start = START + 100 * DAY
    return [
        {
            "event_id": f"e{n}",
            "user_id": f"u{draws.randrange(70)}",
            "item_id": f"i{draws.randrange(30)}",
            "timestamp": start + n * 600_000,
        }
        for n in range(count)
    ]


def _learned(run: Path, events: Sequence[dict[str, Any]], *, piece: int | None = None) -> str:
    """The state after a run has learned these events, all at once or in pieces."""
    with Recommender.from_pretrained(run) as recommender:
        for start in range(0, len(events), piece or len(events)):
            recommender.learn(list(events[start : start + (piece or len(events))]))
        return live_sha256(recommender)


def _state(run: Path) -> str:
    return live_sha256(Recommender.from_pretrained(run))


def test_what_was_learned_is_there_when_the_run_is_opened_again(run: Path) -> None:
    state = _learned(run, _events())
    again = Recommender.from_pretrained(run)
    assert live_sha256(again) == state
    assert again.counted == 240
    assert whole_of(again).boundaries


def test_a_replay_of_the_log_is_the_same_run_to_the_bit(run: Path) -> None:
    state = _learned(run, _events())
    shutil.rmtree(run / "state" / "snapshots")
    assert _state(run) == state


@pytest.mark.parametrize("piece", [1, 17])
def test_in_pieces_or_at_once_it_is_the_same_run(run: Path, twin: Path, piece: int) -> None:
    events = _events(80)
    assert _learned(run, events, piece=piece) == _learned(twin, events)


def test_opened_without_closing_it_has_what_was_acknowledged(run: Path, tmp_path: Path) -> None:
    recommender = Recommender.from_pretrained(run)
    recommender.learn(_events(50))
    # As after a kill: the files as they lie, write-ahead log included.
    copy = Path(shutil.copytree(run, tmp_path / "killed"))
    assert _state(copy) == live_sha256(recommender)


def test_a_damaged_snapshot_costs_time_alone(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = _learned(run, _events())
    newest = max((run / "state" / "snapshots").iterdir())
    (newest / "live.json").write_text("{}")
    with caplog.at_level(logging.WARNING):
        assert _state(run) == state
    assert "damaged" in caplog.text


def test_learning_is_like_learning_after_a_snapshot(run: Path, twin: Path) -> None:
    events = _events()
    with Recommender.from_pretrained(run) as first:
        first.learn(events[:100])
        take_snapshot(first)
        first.learn(events[100:])
        state = live_sha256(first)
    assert state == _learned(twin, events)
    shutil.rmtree(max((run / "state" / "snapshots").iterdir()))
    assert _state(run) == state


def test_events_told_twice_count_once_and_other_contents_are_refused(run: Path) -> None:
    events = _events(30)
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(events)
        state = live_sha256(recommender)
        recommender.learn(events[:10])
        assert live_sha256(recommender) == state
        other = {**events[3], "item_id": "i29" if events[3]["item_id"] != "i29" else "i28"}
        with pytest.raises(DataError, match="'e3' is in the log with other contents"):
            recommender.learn([other, {**events[0], "event_id": "new"}])
        assert recommender.counted == 31


def test_an_event_without_its_id_is_refused_by_row(run: Path) -> None:
    rows = pl.DataFrame(_events(3)).with_columns(pl.Series("event_id", ["a", None, "b"]))
    with pytest.raises(DataError, match=r"row 1.*event_id"):
        Recommender.from_pretrained(run).learn(rows)


def test_events_wait_for_their_items_and_count_when_those_come(run: Path, twin: Path) -> None:
    early = {"event_id": "x", "user_id": "u1", "item_id": "fresh", "timestamp": START + 200 * DAY}
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn([early, *_events(5)])
        assert (recommender.held, recommender.counted) == (1, 5)
        recommender.add_items([{"item_id": "fresh", "title": "Film 7"}])
        assert (recommender.held, recommender.counted) == (0, 6)
        assert recommender.history("u1")[-1] == "fresh"
        state = live_sha256(recommender)
    again = Recommender.from_pretrained(run)
    assert live_sha256(again) == state
    assert "fresh" in {one.item for one in again.recommend("u2", 31)}
    shutil.rmtree(run / "state" / "snapshots")
    assert _state(run) == state
    with Recommender.from_pretrained(twin) as other:
        other.learn(_events(5))
        other.add_items([{"item_id": "fresh", "title": "Film 7"}])
        other.learn([early])
        assert whole_of(other).learned_events().items.tolist() == whole_of(again).learned_events().items.tolist()


def test_a_clock_in_the_future_moves_nothing_else(run: Path) -> None:
    wrong = {"event_id": "w", "user_id": "u1", "item_id": "i5", "timestamp": 4_000_000_000_000}
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn([wrong])
        assert recommender.now is not None
        assert recommender.now < 3_000_000_000_000
        assert recommender.live is not None
        assert recommender.live.late_clocks == 1
        state = live_sha256(recommender)
    shutil.rmtree(run / "state" / "snapshots")
    assert _state(run) == state


def test_a_late_event_counts_and_turns_no_clock_back(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(_events(20))
        now = recommender.now
        recommender.learn([{"event_id": "late", "user_id": "u3", "item_id": "i9", "timestamp": 32_000_000_000}])
        assert recommender.now == now
        assert recommender.history("u3")[-1] == "i9"
        assert recommender.recommend("u3", 3)


def test_a_flood_from_one_user_is_counted_and_teaches_little(run: Path) -> None:
    flood = [{**one, "user_id": "u1"} for one in _events(200)]
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(flood)
        assert recommender.counted == 200
        moving = whole_of(recommender).moving
        assert moving is not None
        assert moving.adapter.learned <= 200


def test_the_run_as_it_was_is_the_run_that_had_learned_so_far(run: Path, twin: Path) -> None:
    events = _events(120)
    with Recommender.from_pretrained(run) as recommender:
        first = recommender.offset
        recommender.learn(events[:50])
        listed = recommender.recommend("u2", 5)
        state = live_sha256(recommender)
        recommender.learn(events[50:])
    then = Recommender.from_pretrained(run, as_of=first + 50)
    assert then.offset == first + 50
    assert then.recommend("u2", 5) == listed
    assert live_sha256(then) == state == _learned(twin, events[:50])
    with pytest.raises(UnsupportedByData, match="earlier moment"):
        then.learn(_events(1))
    for offset, words in ((first - 1, "before the end of the fit"), (first + 121, "behind the end")):
        with pytest.raises(DataError, match=words):
            Recommender.from_pretrained(run, as_of=offset)


def test_what_moved_is_told_and_its_shares_sum_up(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        first = recommender.offset
        recommender.learn(_events(120))
        moves = recommender.moves("u2", first + 20, first + 120, 5)
        before, after = (Recommender.from_pretrained(run, as_of=first + n) for n in (20, 120))
        ranked = {one.item: one for one in after.recommend("u2", 30)}
    assert len(moves.items) >= 5
    for one in moves.items:
        assert one.history + one.evidence + one.adapter == pytest.approx(one.after - one.before, abs=1e-4)
        if one.rank_after:
            assert ranked[one.item].score == pytest.approx(one.after, abs=1e-4)
    own = [item for _, item in moves.events]
    assert before.history("u2") + own == after.history("u2")
    assert all(first + 20 <= offset < first + 120 for offset, _ in moves.events)
    assert moves.as_json()["items"][0]["item"] == moves.items[0].item
    with pytest.raises(DataError, match="backwards"):
        recommender.moves("u2", first + 3, first + 2)


def test_from_a_moment_to_itself_nothing_moves(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(_events(30))
        offset = recommender.offset
        moves = recommender.moves("u2", offset, offset, 4)
    assert all(one.before == pytest.approx(one.after) and not one.facts for one in moves.items)


@pytest.mark.parametrize("user", ["u65", "u4"])
def test_forgotten_it_is_as_if_they_had_never_been_there(run: Path, twin: Path, user: str) -> None:
    events = _events()
    _learned(run, events)
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
    assert _state(run) == state
    assert certificate["deleted"]["events in the log"] == sum(one["user_id"] == user for one in events)
    assert bool(certificate["deleted"]["events of the fit"]) == known
    assert any("weights" in one for one in certificate["not_covered"])
    with pytest.raises(UnknownIdError):
        Recommender.from_pretrained(run).recommend(user)


def test_no_file_of_the_state_names_who_was_forgotten(run: Path) -> None:
    events = [{**one, "user_id": "somebody-to-forget"} for one in _events(5)]
    _learned(run, [*events, *[{**one, "event_id": f"f{one['event_id']}"} for one in _events(20)]])
    assert any(b"somebody-to-forget" in path.read_bytes() for path in run.rglob("*") if path.is_file())
    with Recommender.from_pretrained(run) as recommender:
        recommender.forget("somebody-to-forget")
    assert not any(b"somebody-to-forget" in path.read_bytes() for path in run.rglob("*") if path.is_file())


def test_after_a_deletion_no_event_without_an_id_is_taken_for_another(run: Path) -> None:
    bare = [{name: one[name] for name in ("user_id", "item_id", "timestamp")} for one in _events(60)]
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(bare)
        recommender.forget(bare[0]["user_id"])
        offset = recommender.offset
        # The last one comes again, and is another event: nobody said that it is the same.
        recommender.learn([bare[-1], *bare[-1:]])
        assert recommender.offset == offset + 2


def test_two_who_learn_in_turn_take_no_event_for_the_others(run: Path) -> None:
    bare = {"user_id": "u1", "item_id": "i1", "timestamp": START + 100 * DAY}
    waiting = Recommender.from_pretrained(run)
    first = waiting.offset
    with Recommender.from_pretrained(run) as other:
        other.learn([bare])
    with waiting:
        waiting.learn([{**bare, "item_id": "i2"}])
        assert waiting.offset == first + 2


def test_snapshots_are_taken_as_often_as_is_set(tmp_path: Path) -> None:
    interactions, items = circles()
    data = Dataset.from_frames(interactions, items, info=DatasetInfo("circles", "film", "watched", "second"))
    config = {**_CONFIG, "stream": {"snapshot_every": 20, "snapshots": 2}}
    Recommender.fit(data, config, split="none", seed=3, options=FitOptions(cache=tmp_path / "cache")).save_pretrained(
        tmp_path / "run"
    )
    recommender, events = Recommender.from_pretrained(tmp_path / "run"), _events(70)
    taken = []
    for start in range(0, 70, 10):
        recommender.learn(events[start : start + 10])
        taken.append(len(list((tmp_path / "run" / "state" / "snapshots").glob("at-*"))))
    assert taken == [0, 1, 1, 2, 2, 2, 2]
    # As after a kill: nothing was closed, and the newest snapshot with what came behind it gives the same.
    shutil.copytree(tmp_path / "run", tmp_path / "copied")
    assert _state(tmp_path / "copied") == live_sha256(recommender)


def test_forgetting_somebody_whose_events_wait(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn([{"event_id": "x", "user_id": "ghost", "item_id": "none", "timestamp": START}])
        assert recommender.forget("ghost")["deleted"]["events in the log"] == 1
        assert recommender.held == 0
        with pytest.raises(UnknownIdError, match="'nobody'"):
            recommender.forget("nobody")


def test_a_run_from_which_somebody_left_is_not_measured(tmp_path: Path, saved: Path) -> None:
    interactions, items = circles()
    data = Dataset.from_frames(interactions, items, info=DatasetInfo("circles", "film", "watched", "second"))
    recommender = Recommender.fit(data, _CONFIG, split="full", options=FitOptions(cache=tmp_path / "cache"))
    recommender.learn(_events(5))
    assert recommender.forget("u1")["deleted"]["events of the fit"] > 0
    with pytest.raises(ProtocolMismatch, match="deleted"):
        evaluate(recommender, systems=["popularity"])
    recommender.save_pretrained(tmp_path / "run")
    again = Recommender.from_pretrained(tmp_path / "run")
    assert live_sha256(again) == live_sha256(recommender)


def test_versions_can_be_gone_back_to_and_a_replay_goes_back_too(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(_events(120))
        moving = whole_of(recommender).moving
        assert moving is not None
        wanted = min(moving.adapter.kept)
        recommender.rollback(wanted)
        assert moving.version == wanted
        recommender.learn(_events(130)[120:])
        state = live_sha256(recommender)
        with pytest.raises(UnknownIdError, match="no version 9999"):
            recommender.rollback(9999)
    shutil.rmtree(run / "state" / "snapshots")
    assert _state(run) == state


def test_boundaries_stand_in_the_log_and_prove_a_replay(run: Path) -> None:
    _learned(run, _events(60))
    with SqliteLog(run / "state" / "events.sqlite") as log:
        marks = [one for one in log.read() if type(one).__name__ == "Mark"]
        assert [one.payload["number"] for one in marks if one.kind == "boundary"] == list(range(len(marks)))  # type: ignore[union-attr]
        log.mark("boundary", {"number": len(marks), "counted": 1})
    shutil.rmtree(run / "state" / "snapshots")
    with pytest.raises(ArtefactError, match="another version or configuration"):
        Recommender.from_pretrained(run)


def test_frozen_parts_are_the_same_before_and_after(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        whole = whole_of(recommender)
        assert whole.joint is not None
        before = whole.backbone.parameter_hash(), whole.joint.parameter_hash(), whole.joint.item_vectors.clone()
        recommender.learn(_events())
        assert (whole.backbone.parameter_hash(), whole.joint.parameter_hash()) == before[:2]
        assert np.array_equal(whole.joint.item_vectors.numpy(), before[2].numpy())


def test_two_writers_of_one_run_are_refused(run: Path) -> None:
    with Recommender.from_pretrained(run) as first:
        first.learn(_events(3))
        second = Recommender.from_pretrained(run)
        with pytest.raises(StorageError, match="which writes this log"):
            second.learn(_events(1, seed=2))


def test_a_saved_copy_has_the_log_and_goes_its_own_way(run: Path, tmp_path: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(_events(40))
        recommender.save_pretrained(tmp_path / "copy")
        state = live_sha256(recommender)
    assert _state(tmp_path / "copy") == state
    assert _learned(tmp_path / "copy", _events(60)[40:]) != state
    assert _state(run) == state


@pytest.fixture
def unsaved(saved: Path) -> Recommender:
    loaded = Recommender.from_pretrained(saved)
    loaded.live = None
    return loaded


def test_in_memory_it_learns_travels_and_forgets_too(unsaved: Recommender, run: Path) -> None:
    unsaved.learn(_events(60))
    assert live_sha256(unsaved) == _learned(run, _events(60))
    first = unsaved.offset - 60
    assert unsaved.moves("u2", first + 10, first + 60, 3).items
    unsaved.forget("u65")
    assert "u65" not in unsaved.users
