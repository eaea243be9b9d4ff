"""A run that has learned is not replaced by one that has not: what is durable goes only where somebody says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.assembly.live.made import events_of, learn_all, state_of

from dynmm import Recommender
from dynmm.assembly import check_target
from dynmm.assembly.live import LOG_FILE
from dynmm.errors import DataError

WORDS = r"has learned 20 events since its fit.*name another folder, or .*overwrite=True \(dynmm fit --overwrite\)"


def test_what_a_run_learned_is_not_replaced_silently(run: Path, twin: Path) -> None:
    state = learn_all(run, events_of(20))
    other = Recommender.from_pretrained(twin)
    with pytest.raises(DataError, match=WORDS):
        other.save_pretrained(run)
    with pytest.raises(DataError, match=WORDS):
        check_target(run)
    assert state_of(run) == state
    check_target(run, overwrite=True)
    other.save_pretrained(run, overwrite=True)
    assert Recommender.from_pretrained(run).counted == 0


def test_neither_are_items_that_came(run: Path, twin: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        recommender.add_items([{"item_id": "new", "title": "New"}])
    with pytest.raises(DataError, match=r"has got items since its fit.*--overwrite"):
        check_target(run)
    with pytest.raises(DataError, match="has got items"):
        Recommender.from_pretrained(twin).save_pretrained(run)
    Recommender.from_pretrained(run).save_pretrained(run)
    assert "new" in Recommender.from_pretrained(run).items


def test_neither_is_the_log_that_came_without_its_lock(run: Path, twin: Path) -> None:
    learn_all(run, events_of(20))
    (lock,) = (run / "state").glob("*.lock")
    lock.unlink()
    with pytest.raises(DataError, match="has learned 20 events"):
        check_target(run)


def test_a_run_with_all_that_lies_there_may_take_its_place(run: Path, twin: Path) -> None:
    state = learn_all(run, events_of(20))
    Recommender.from_pretrained(run).save_pretrained(run)
    now = Recommender.from_pretrained(run).offset
    Recommender.from_pretrained(run, as_of=now).save_pretrained(run)
    with pytest.raises(DataError, match="has learned 20 events"):
        Recommender.from_pretrained(run, as_of=now - 5).save_pretrained(run)
    assert state_of(run) == state
    learn_all(twin, events_of(10))
    with Recommender.from_pretrained(run) as further:
        further.learn(events_of(30)[20:])
        with pytest.raises(DataError, match="has learned 10 events"):
            further.save_pretrained(twin)
    further = Recommender.from_pretrained(run)
    further.save_pretrained(run.parent / "copy")
    further.save_pretrained(run.parent / "copy")
    assert state_of(run.parent / "copy") == state_of(run)


def test_a_log_that_nobody_can_read_is_not_lost_unseen(run: Path, twin: Path) -> None:
    learn_all(run, events_of(20))
    (run / "state" / LOG_FILE).write_bytes(b"no log")
    with pytest.raises(DataError, match=r"cannot be read.*overwrite=True"):
        check_target(run)
    Recommender.from_pretrained(twin).save_pretrained(run, overwrite=True)
    assert Recommender.from_pretrained(run).counted == 0
