"""A run that goes on learning: from its log, durably, and the same however it came about."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from tests.assembly.live.made import ADAPTER, CONFIG, events_of, learn_all, state_of
from tests.worlds import DAY, START, circles

from dynmm import Dataset, DatasetInfo, Recommender
from dynmm.adapter.settings import AdapterSettings
from dynmm.assembly import FitOptions
from dynmm.assembly.logkeeping import take_snapshot
from dynmm.assembly.moving import moving_of
from dynmm.assembly.snapshotting import live_sha256
from dynmm.assembly.whole import whole_of
from dynmm.errors import DataError, StorageError


def test_what_was_learned_is_there_when_the_run_is_opened_again(run: Path) -> None:
    state = learn_all(run, events_of())
    again = Recommender.from_pretrained(run)
    assert live_sha256(again) == state
    assert again.counted == 240
    windows = whole_of(again).windows
    assert windows is not None
    assert windows.ended
    assert not windows.unsettled


def test_a_replay_of_the_log_is_the_same_run_to_the_bit(run: Path) -> None:
    state = learn_all(run, events_of())
    shutil.rmtree(run / "state" / "snapshots")
    assert state_of(run) == state


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_however_many_threads_there_are_a_replay_is_the_same_run(run: Path, threads: Callable[[int], None]) -> None:
    state = learn_all(run, events_of(100))
    shutil.rmtree(run / "state" / "snapshots")
    for number in (2, 3, 4):
        threads(number)
        assert state_of(run) == state
        assert torch.get_num_threads() == number


@pytest.mark.parametrize("piece", [1, 17])
def test_in_pieces_or_at_once_it_is_the_same_run(run: Path, twin: Path, piece: int) -> None:
    events = events_of(80)
    assert learn_all(run, events, piece=piece) == learn_all(twin, events)


def test_the_first_event_begins_the_first_window_whether_it_is_observed_or_not(saved: Path) -> None:
    """With a share of the events, those before the first that is observed are counted together where they come so."""
    events = [{**one, "timestamp": START + 100 * DAY + n * DAY // 48} for n, one in enumerate(events_of(20))]
    states = []
    for piece in (20, 1):
        recommender = Recommender.from_pretrained(saved)
        recommender.live, settings = None, AdapterSettings.model_validate({**ADAPTER, "share": 0.15, "window": "1h"})
        whole = whole_of(recommender)
        whole.moving = moving_of(whole.frozen_space, recommender.known, settings, 3)
        for start in range(0, 20, piece):
            recommender.learn(events[start : start + piece])
        states.append(live_sha256(recommender))
    assert states[0] == states[1]


def test_opened_without_closing_it_has_what_was_acknowledged(run: Path, tmp_path: Path) -> None:
    recommender = Recommender.from_pretrained(run)
    recommender.learn(events_of(50))
    # As after a kill: the files as they lie, write-ahead log included.
    copy = Path(shutil.copytree(run, tmp_path / "killed"))
    assert state_of(copy) == live_sha256(recommender)


def test_a_damaged_snapshot_costs_time_alone(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = learn_all(run, events_of())
    newest = max((run / "state" / "snapshots").iterdir())
    (newest / "live.json").write_text("{}")
    with caplog.at_level(logging.WARNING):
        assert state_of(run) == state
    assert "damaged" in caplog.text


@pytest.mark.parametrize("wrote", [1, 3])
def test_a_snapshot_of_another_version_costs_time_alone(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wrote: int
) -> None:
    """What an adapter learned with other numbers of users must not be gone on with."""
    with monkeypatch.context() as patch:
        patch.setattr("dynmm.assembly.snapshotting.FORMAT", wrote)
        state = learn_all(run, events_of())
    monkeypatch.setattr("dynmm.assembly.logkeeping.read_live", None)  # it would be called
    with caplog.at_level(logging.WARNING):
        assert state_of(run) == state
    assert f"of another version of dynmm, with format {wrote} and not 2" in caplog.text


def test_learning_is_like_learning_after_a_snapshot(run: Path, twin: Path) -> None:
    events = events_of()
    with Recommender.from_pretrained(run) as first:
        first.learn(events[:100])
        take_snapshot(first)
        first.learn(events[100:])
        state = live_sha256(first)
    assert state == learn_all(twin, events)
    shutil.rmtree(max((run / "state" / "snapshots").iterdir()))
    assert state_of(run) == state


def test_events_told_twice_count_once_and_other_contents_are_refused(run: Path) -> None:
    events = events_of(30)
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(events)
        state = live_sha256(recommender)
        recommender.learn(events[:10])
        assert live_sha256(recommender) == state
        other = {**events[3], "item_id": "i29" if events[3]["item_id"] != "i29" else "i28"}
        words = "'e3' is in the log with other contents .*taken in: 1 new, 0 were there already"
        with pytest.raises(DataError, match=words):
            recommender.learn([other, {**events[0], "event_id": "new"}])
        assert recommender.counted == 31


def test_what_the_fit_left_out_does_not_count_live(tmp_path: Path) -> None:
    """Ratings below the bar and other kinds are kept in the log, and teach nothing, as at the fit."""
    interactions, items = circles()
    rated = interactions.with_columns(pl.lit(5.0).alias("rating"), pl.lit("buy").alias("kind"))
    folder, options = tmp_path / "data", FitOptions(cache=tmp_path / "cache")
    folder.mkdir()
    rated.write_parquet(folder / "interactions.parquet")
    items.write_parquet(folder / "items.parquet")
    filters = {"data": {"min_rating": 3.5, "kinds": ["buy"]}}
    Recommender.fit(folder, {**CONFIG, **filters}, options=options).save_pretrained(tmp_path / "run")
    values: list[dict[str, Any]] = [
        {"rating": 3.5, "kind": "buy"},
        {"rating": 3.4, "kind": "buy"},
        {"rating": 5.0, "kind": "look"},
        {"rating": None, "kind": "buy"},
    ]
    events = [{**one, **values[n % 4]} for n, one in enumerate(events_of(40))]
    with Recommender.from_pretrained(tmp_path / "run") as run:
        assert run.learn(events).accepted == 40
        assert run.counted == 10
        with pytest.raises(DataError, match="'e0' is in the log with other contents"):
            run.learn([{**events[0], "rating": 1.0}])
        state = live_sha256(run)
    assert state_of(tmp_path / "run") == state
    bare = [{name: one[name] for name in ("event_id", "user_id", "item_id", "timestamp")} for one in events]
    twin = Recommender.fit(folder, CONFIG, options=options)
    twin.learn(bare[::4])
    assert twin.counted == 10
    assert twin.history("u3") == Recommender.from_pretrained(tmp_path / "run").history("u3")


def test_an_event_without_its_id_is_refused_by_row(run: Path) -> None:
    rows = pl.DataFrame(events_of(3)).with_columns(pl.Series("event_id", ["a", None, "b"]))
    with pytest.raises(DataError, match=r"row 1.*event_id"):
        Recommender.from_pretrained(run).learn(rows)


def test_a_missing_id_is_named_by_its_row_in_the_table_that_came(run: Path) -> None:
    first, second, third = events_of(3)
    rows = [{**first, "timestamp": 5}, second, {**third, "event_id": None}, *events_of(8)[4:]]
    with pytest.raises(DataError, match=r"row 2, column 'event_id'"):
        Recommender.from_pretrained(run).learn(rows, skip_bad=True)


def test_bad_rows_are_left_out_whatever_is_bad_about_them_and_if_none_is_good(run: Path) -> None:
    first, second, third, good = events_of(4)
    long = [{**first, "user_id": "é" * 513}, {**second, "item_id": "i" * 10_000}]
    bad = [*long, {**third, "kind": "k" * 1025}, {**third, "kind": ""}, {**third, "kind": None, "rating": float("nan")}]
    with Recommender.from_pretrained(run) as recommender:
        for one, column in zip(long, ("user_id", "item_id"), strict=True):
            with pytest.raises(
                DataError, match=rf"row 0, column '{column}'.*more than 1,024 bytes; shorten it"
            ) as told:
                recommender.learn([one])
            assert len(str(told.value)) < 300
        left_out = {"long user_id": 1, "long item_id": 1, "long kind": 1, "empty kind": 1, "non-finite rating": 1}
        for more, accepted in (([], 0), ([good], 1)):
            learned = recommender.learn([*bad, *more], skip_bad=True)
            assert (learned.accepted, learned.duplicates, dict(learned.left_out)) == (accepted, 0, left_out)
        assert recommender.counted == 1


def test_a_bad_id_costs_its_row_and_is_named_by_it(run: Path) -> None:
    first, second, third, *others = events_of(6)
    bad = [{**first, "timestamp": 5}, {**second, "event_id": ""}, {**third, "event_id": "x" * 2_000}]
    with Recommender.from_pretrained(run) as recommender:
        with pytest.raises(DataError, match=r"row 1, column 'event_id': '' is no event_id; give each event an id"):
            recommender.learn([first, bad[1], *others])
        with pytest.raises(DataError, match=r"row 2, column 'event_id'.*more than 1,024 bytes; shorten it"):
            recommender.learn([first, second, bad[2], *others])
        learned = recommender.learn([*bad, *others], skip_bad=True)
        assert (learned.accepted, recommender.counted) == (3, 3)
        assert learned.left_out == {"timestamp out of range": 1, "empty event_id": 1, "long event_id": 1}


def test_a_few_clocks_that_were_never_set_are_left_out_and_many_are_in_a_wrong_unit(run: Path) -> None:
    unset = [{**one, "timestamp": 0} for one in events_of(99)]
    with Recommender.from_pretrained(run) as recommender:
        for rows in (unset[:1], unset):
            learned = recommender.learn(rows, skip_bad=True)
            assert (learned.accepted, learned.left_out) == (0, {"timestamp out of range": len(rows)})
        with pytest.raises(DataError, match="0 is not between the years 1971 and 2200"):
            recommender.learn(unset[:1])
        with pytest.raises(DataError, match="half of the column"):
            recommender.learn([*unset, *events_of(1)], skip_bad=True)
        assert recommender.counted == 0


def test_events_wait_for_their_items_and_count_when_those_come(run: Path, twin: Path) -> None:
    early = {"event_id": "x", "user_id": "u1", "item_id": "fresh", "timestamp": START + 200 * DAY}
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn([early, *events_of(5)])
        assert (recommender.held, recommender.counted) == (1, 5)
        recommender.add_items([{"item_id": "fresh", "title": "Film 7"}])
        assert (recommender.held, recommender.counted) == (0, 6)
        assert recommender.history("u1")[-1] == "fresh"
        state = live_sha256(recommender)
    again = Recommender.from_pretrained(run)
    assert live_sha256(again) == state
    assert "fresh" in {one.item for one in again.recommend("u2", 31)}
    shutil.rmtree(run / "state" / "snapshots")
    assert state_of(run) == state
    with Recommender.from_pretrained(twin) as other:
        other.learn(events_of(5))
        other.add_items([{"item_id": "fresh", "title": "Film 7"}])
        other.learn([early])
        assert whole_of(other).learned_events().items.tolist() == whole_of(again).learned_events().items.tolist()


def test_items_of_which_a_kill_left_no_word_in_the_log_stand_in_nobodys_place(run: Path, twin: Path) -> None:
    with Recommender.from_pretrained(twin) as other:
        other.add_items([{"item_id": "ghost", "title": "Film 3"}])
    # As after a kill between the two: what the item is was written, and the log was not told.
    shutil.copytree(twin / "state" / "added", run / "state" / "added")
    with Recommender.from_pretrained(run) as recommender:
        recommender.add_items([{"item_id": "fresh", "title": "Film 7"}])
        recommender.learn(events_of(5))
        state = live_sha256(recommender)
    again = Recommender.from_pretrained(run)
    assert live_sha256(again) == state
    assert ("ghost" in again.items, "fresh" in again.items) == (False, True)


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
    assert state_of(run) == state


def test_a_late_event_counts_and_turns_no_clock_back(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(events_of(20))
        now = recommender.now
        recommender.learn([{"event_id": "late", "user_id": "u3", "item_id": "i9", "timestamp": 32_000_000_000}])
        assert recommender.now == now
        assert recommender.history("u3")[-1] == "i9"
        assert recommender.recommend("u3", 3)


def test_a_flood_from_one_user_is_counted_and_teaches_little(tmp_path: Path) -> None:
    # Ten minutes apart, so that six come in each window of an hour.
    flood = [{**one, "user_id": "u1"} for one in events_of(200)]
    recommender = _fitted(tmp_path, adapter={**ADAPTER, "user_events": 2, "batch": 3})
    with recommender:
        recommender.learn(flood)
        assert recommender.counted == 200
        moving = whole_of(recommender).moving
        assert moving is not None
        windows = len({one["timestamp"] // 3_600_000 for one in flood})
        assert moving.adapter.windows.ended > windows
        assert 0 < moving.adapter.learned <= 2 * windows


def test_two_who_learn_in_turn_take_no_event_for_the_others(run: Path) -> None:
    bare = {"user_id": "u1", "item_id": "i1", "timestamp": START + 100 * DAY}
    waiting = Recommender.from_pretrained(run)
    first = waiting.offset
    with Recommender.from_pretrained(run) as other:
        other.learn([bare])
    with waiting:
        waiting.learn([{**bare, "item_id": "i2"}])
        assert waiting.offset == first + 2


def _fitted(folder: Path, **changes: Any) -> Recommender:
    """A run with another configuration, saved as `run` in this folder."""
    interactions, items = circles()
    data = Dataset.from_frames(interactions, items, info=DatasetInfo("circles", "film", "watched", "second"))
    fitted = Recommender.fit(
        data, {**CONFIG, **changes}, split="none", seed=3, options=FitOptions(cache=folder / "cache")
    )
    fitted.save_pretrained(folder / "run")
    return Recommender.from_pretrained(folder / "run")


def test_without_facts_the_vectors_that_moved_rank(tmp_path: Path) -> None:
    with _fitted(tmp_path, evidence={"variant": "off"}, adapter={**ADAPTER, "guard": False}) as recommender:
        before = recommender.recommend("u1", 10)
        recommender.learn([event for event in events_of() if event["user_id"] != "u1"])
        after = recommender.recommend("u1", 10)
        whole = whole_of(recommender)
        assert whole.evidence is None
        assert whole.moving is not None
        assert whole.moving.version > 0
        assert {one.title: one.score for one in after} != {one.title: one.score for one in before}


def test_snapshots_are_taken_as_often_as_is_set(tmp_path: Path) -> None:
    recommender = _fitted(tmp_path, stream={"snapshot_every": 20, "snapshots": 2})
    events = events_of(70)
    taken = []
    for start in range(0, 70, 10):
        recommender.learn(events[start : start + 10])
        taken.append(len(list((tmp_path / "run" / "state" / "snapshots").glob("at-*"))))
    assert taken == [0, 1, 1, 2, 2, 2, 2]
    # As after a kill: nothing was closed, and the newest snapshot with what came behind it gives the same.
    shutil.copytree(tmp_path / "run", tmp_path / "copied")
    assert state_of(tmp_path / "copied") == live_sha256(recommender)


def test_a_snapshot_that_the_disk_refuses_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recommender = _fitted(tmp_path, stream={"snapshot_every": 20})
    bare = [{name: one[name] for name in ("user_id", "item_id", "timestamp")} for one in events_of(80)]
    tried = []

    def full(*_: object) -> None:
        tried.append(recommender.counted)
        raise StorageError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("dynmm.assembly.logkeeping.write_live", full)
        for start in range(0, 60, 10):
            assert recommender.learn(bare[start : start + 10]).accepted == 10
        assert tried == [20, 40, 60]
        assert sum("no snapshot was taken" in one.getMessage() for one in caplog.records) == 3
        recommender.learn(bare[60:70])
        recommender.close()
        assert tried == [20, 40, 60, 70]
        assert "is not to be learned again" in caplog.records[-1].getMessage()
    with Recommender.from_pretrained(tmp_path / "run") as again:
        assert again.counted == 70
        again.learn(bare[70:])
    assert len(list((tmp_path / "run" / "state" / "snapshots").glob("at-*"))) == 1


def test_frozen_parts_are_the_same_before_and_after(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        whole = whole_of(recommender)
        assert whole.joint is not None
        before = whole.backbone.parameter_hash(), whole.joint.parameter_hash(), whole.joint.item_vectors.clone()
        recommender.learn(events_of())
        assert (whole.backbone.parameter_hash(), whole.joint.parameter_hash()) == before[:2]
        assert np.array_equal(whole.joint.item_vectors.numpy(), before[2].numpy())


def test_two_writers_of_one_run_are_refused(run: Path) -> None:
    with Recommender.from_pretrained(run) as first:
        first.learn(events_of(3))
        second = Recommender.from_pretrained(run)
        with pytest.raises(StorageError, match="which writes this log"):
            second.learn(events_of(1, seed=2))


def test_a_saved_copy_has_the_log_and_goes_its_own_way(run: Path, tmp_path: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(events_of(40))
        recommender.save_pretrained(tmp_path / "copy")
        state = live_sha256(recommender)
    assert state_of(tmp_path / "copy") == state
    assert learn_all(tmp_path / "copy", events_of(60)[40:]) != state
    assert state_of(run) == state
