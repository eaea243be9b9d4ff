"""The run as it was, what moved since, and going back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.assembly.live.made import events_of, learn_all, state_of
from tests.worlds import DAY, START

from dynmm import Recommender
from dynmm.assembly import explainer_of
from dynmm.assembly.attributing import Stretch
from dynmm.assembly.logkeeping import take_snapshot
from dynmm.assembly.snapshotting import live_sha256
from dynmm.assembly.whole import whole_of
from dynmm.errors import ArtefactError, DataError, UnknownIdError, UnsupportedByData
from dynmm.factids import FactId
from dynmm.stream.events import Mark
from dynmm.stream.sqlite_log import SqliteLog


def test_the_run_as_it_was_is_the_run_that_had_learned_so_far(run: Path, twin: Path) -> None:
    events = events_of(120)
    with Recommender.from_pretrained(run) as recommender:
        first = recommender.offset
        recommender.learn(events[:50])
        listed = recommender.recommend("u2", 5)
        state = live_sha256(recommender)
        recommender.learn(events[50:])
    then = Recommender.from_pretrained(run, as_of=first + 50)
    assert then.offset == first + 50
    assert then.recommend("u2", 5) == listed
    assert live_sha256(then) == state == learn_all(twin, events[:50])
    with pytest.raises(UnsupportedByData, match="earlier moment"):
        then.learn(events_of(1))
    for offset, words in ((first - 1, "before the end of the fit"), (first + 121, "behind the end")):
        with pytest.raises(DataError, match=words):
            Recommender.from_pretrained(run, as_of=offset)


def test_what_has_no_earlier_moments_says_so(run: Path) -> None:
    with pytest.raises(UnsupportedByData, match="published model, which has no log"):
        Recommender.from_pretrained(run / "model", as_of=3)
    wrong: Any = "800"
    with pytest.raises(DataError, match="as_of is '800'; give an offset of the log, a whole number"):
        Recommender.from_pretrained(run, as_of=wrong)


def test_what_moved_is_told_and_its_shares_sum_up(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        first = recommender.offset
        recommender.learn(events_of(120))
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


def _events(*named: tuple[str, str]) -> list[dict[str, object]]:
    start = START + 100 * DAY
    return [
        {"event_id": f"n{n}", "user_id": user, "item_id": item, "timestamp": start + n * 60_000}
        for n, (user, item) in enumerate(named)
    ]


def test_facts_name_the_newest_events_of_those_who_had_both_items(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        first, newest = recommender.offset, recommender.history("u2")[-1]
        following = f"i{(int(newest[1:]) + 1) % 30}"
        # Twelve who took one of the two, one who took both the other way round, and one as the fact tells it.
        alone = [(f"alone{n}", following) for n in range(12)]
        recommender.learn(_events(*alone, ("back", following), ("back", newest), ("pair", newest), ("pair", following)))
        moved = {one.item: one for one in recommender.moves("u2", first, first + 16, 3).items}[following]
    named = {one.id.partition(":")[0]: one.events for one in moved.facts if one.id.endswith(f"{newest}>{following}")}
    assert named["followed"] == (first + 15, first + 14)
    assert named["together"] == (first + 15, first + 14, first + 13, first + 12)
    after = Recommender.from_pretrained(run)
    assert after.now is not None
    stretch = Stretch(explainer_of(after, "operator").store, whole_of(after).learned_events(), first)
    # What came at the very moment of the question is no trend yet.
    assert stretch.behind(FactId.trend(7, after.now, following), 10) == tuple(range(first + 12, first + 2, -1))
    assert stretch.behind(FactId("alike", following, (newest,), "text"), 10) == ()


def test_what_moved_is_computed_where_the_run_was_put(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recommender = Recommender.from_pretrained(run, device="cpu")
    asked, real = [], Recommender.from_pretrained

    def opened(*told: Any, **options: Any) -> Recommender:
        asked.append(options["device"])
        return real(*told, **options)

    monkeypatch.setattr(Recommender, "from_pretrained", opened)
    recommender.moves("u2", recommender.offset, recommender.offset, 1)
    assert asked == ["cpu", "cpu"]


def test_somebody_who_came_in_between_had_nothing_at_the_start(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        first = recommender.offset
        recommender.learn(_events(("newcomer", "i3"), ("newcomer", "i4")))
        moves = recommender.moves("newcomer", first, first + 2, 5)
        assert [item for _, item in moves.events] == ["i3", "i4"]
        assert any(one.history for one in moves.items)
        for one in moves.items:
            assert one.history + one.evidence + one.adapter == pytest.approx(one.after - one.before, abs=1e-4)
        with pytest.raises(UnknownIdError, match="unknown user 'nobody'"):
            recommender.moves("nobody", first, first + 2)


def test_from_a_moment_to_itself_nothing_moves(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(events_of(30))
        offset = recommender.offset
        moves = recommender.moves("u2", offset, offset, 4)
    assert all(one.before == pytest.approx(one.after) and not one.facts for one in moves.items)


def test_versions_can_be_gone_back_to_and_a_replay_goes_back_too(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(events_of(120))
        moving = whole_of(recommender).moving
        assert moving is not None
        wanted = min(moving.adapter.kept)
        first = recommender.offset - 120
        listed = recommender.versions
        assert [one.version for one in listed] == [0, *sorted(moving.adapter.kept)]
        assert [one.version for one in listed if one.serves] == [moving.version]
        made = [(one.offset, one.moment) for one in listed]
        assert made == sorted(made)
        assert all(first < offset <= recommender.offset for offset, _ in made[1:])
        recommender.rollback(wanted)
        assert moving.version == wanted
        assert [one.version for one in recommender.versions if one.serves] == [wanted]
        recommender.learn(events_of(130)[120:])
        state = live_sha256(recommender)
        with pytest.raises(UnknownIdError, match="no version 9999"):
            recommender.rollback(9999)
    shutil.rmtree(run / "state" / "snapshots")
    assert state_of(run) == state


def test_a_rollback_to_what_a_deletion_left_no_version_of_goes_back_further(run: Path) -> None:
    learn_all(run, events_of(120))
    with SqliteLog(run / "state" / "events.sqlite") as log:
        log.mark("rollback", {"version": 9_999})
    recommender = Recommender.from_pretrained(run)
    moving = whole_of(recommender).moving
    assert moving is not None
    assert moving.version == max(moving.adapter.kept)


def test_boundaries_stand_in_the_log_and_prove_a_replay(run: Path) -> None:
    learn_all(run, events_of(60))
    with SqliteLog(run / "state" / "events.sqlite") as log:
        marks = [one for one in log.read() if type(one).__name__ == "Mark"]
        assert [one.payload["number"] for one in marks if one.kind == "boundary"] == list(range(len(marks)))  # type: ignore[union-attr]
        log.mark("boundary", {"number": len(marks), "counted": 1})
    shutil.rmtree(run / "state" / "snapshots")
    with pytest.raises(ArtefactError, match="another version or configuration"):
        Recommender.from_pretrained(run)


def test_in_memory_it_learns_travels_and_forgets_too(unsaved: Recommender, run: Path) -> None:
    unsaved.learn(events_of(60))
    assert live_sha256(unsaved) == learn_all(run, events_of(60))
    first = unsaved.offset - 60
    assert unsaved.moves("u2", first + 10, first + 60, 3).items
    unsaved.forget("u65")
    assert "u65" not in unsaved.users


def _waited(number: int) -> dict[str, object]:
    return {"event_id": f"x{number}", "user_id": f"u{number}", "item_id": "fresh", "timestamp": START + 200 * DAY}


def _with_waited(run: Path, *others: str) -> int:
    """Three events wait for an item that comes, and these others, behind five more; returns where the fit ended."""
    with Recommender.from_pretrained(run) as recommender:
        first = recommender.offset
        recommender.learn([_waited(number) for number in range(3)])
        recommender.learn(events_of(5))
        for number, item in enumerate(("fresh", *others), start=7):
            recommender.add_items([{"item_id": item, "title": f"Film {number}"}])
        recommender.learn(events_of(10)[5:])
    return first


def test_an_offset_among_events_that_had_waited_is_that_offset(run: Path) -> None:
    first = _with_waited(run)
    for count, held in ((4, 3), (5, 3), (6, 2), (7, 1), (8, 0), (9, 0)):
        then = Recommender.from_pretrained(run, as_of=first + count)
        assert (then.offset, then.held) == (first + count, held)
        assert ("fresh" in then.items) == (count >= 5)


def _ends_of_windows(run: Path) -> list[Mark]:
    log = SqliteLog(run / "state" / "events.sqlite", read_only=True)
    return [one for one in log.read() if isinstance(one, Mark) and one.kind == "boundary"]


@pytest.mark.parametrize("count", [0, 30, 47, 60])
def test_a_copy_of_the_run_as_it_was_ends_there_and_goes_on_from_there(run: Path, twin: Path, count: int) -> None:
    """All events came in one call, so that the ends of windows stand behind them in the log."""
    events = events_of(90)
    state = learn_all(run, events)
    first = Recommender.from_pretrained(twin).offset
    then = Recommender.from_pretrained(run, as_of=first + count)
    then.save_pretrained(run.parent / "copy")
    copy = Recommender.from_pretrained(run.parent / "copy")
    assert (copy.offset, live_sha256(copy)) == (first + count, live_sha256(then))
    assert live_sha256(then) == (learn_all(twin, events[:count]) if count else state_of(twin))
    ends, all_ends = _ends_of_windows(run.parent / "copy"), _ends_of_windows(run)
    assert [one.payload for one in ends] == [one.payload for one in all_ends if one.payload["counted"] < count]
    assert (count < 47) or ends
    assert learn_all(run.parent / "copy", events[count:]) == state
    assert state_of(run) == state


def test_a_copy_of_the_run_as_it_was_has_the_items_that_had_come(run: Path) -> None:
    first = _with_waited(run, "later")
    for count, held, fresh in ((4, 3, False), (8, 0, True), (10, 0, True)):
        then = Recommender.from_pretrained(run, as_of=first + count)
        then.save_pretrained(run.parent / "copy")
        copy = Recommender.from_pretrained(run.parent / "copy")
        assert (copy.offset, copy.held, "fresh" in copy.items) == (first + count, held, fresh)
        assert live_sha256(copy) == live_sha256(then)
    for count in (5, 6, 7):
        then = Recommender.from_pretrained(run, as_of=first + count)
        with pytest.raises(UnsupportedByData, match=rf"offset {first + count:,} lies among events that had waited"):
            then.save_pretrained(run.parent / "refused")
    assert not (run.parent / "refused").exists()


@pytest.mark.parametrize("snapshots", [True, False])
def test_what_happened_at_an_offset_belongs_to_it_with_and_without_snapshots(run: Path, snapshots: bool) -> None:
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(events_of(120))
        take_snapshot(recommender)
        moving = whole_of(recommender).moving
        assert moving is not None
        recommender.rollback(min(moving.adapter.kept))
        recommender.add_items([{"item_id": "fresh", "title": "Film 7"}])
        offset, state = recommender.offset, live_sha256(recommender)
        recommender.learn(events_of(150)[120:])
    if not snapshots:
        shutil.rmtree(run / "state" / "snapshots")
    assert live_sha256(Recommender.from_pretrained(run, as_of=offset)) == state
