"""A run that is asked while it learns: no question ends in an error, and what it learns is what its log says."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.assembly.live.made import events_of, state_of
from tests.switching import switching_every

from dynmm import Recommender
from dynmm.assembly.snapshotting import live_sha256


@pytest.fixture(autouse=True)
def _switching() -> Iterator[None]:
    with switching_every(1e-4):
        yield


def test_asking_meanwhile_changes_nothing_that_is_learned(run: Path) -> None:
    events, done = events_of(80), threading.Event()
    recommender = Recommender.from_pretrained(run)

    def ask(number: int) -> None:
        while not done.is_set():
            user = f"u{number % 60}"
            recommender.recommend(user, 5, explain=number % 3 == 0)
            recommender.recommend_many([user, "u1"], 5)
            recommender.similar("i3", 3)
            number += 7
            time.sleep(0.001)  # or the others wait for their turn most of the time

    with ThreadPoolExecutor(2) as threads:
        asking = [threads.submit(ask, number) for number in range(2)]
        try:
            for start in range(0, 80, 4):
                recommender.learn(events[start : start + 4])
                if start == 40:
                    recommender.add_items([{"item_id": "fresh", "title": "Film 7"}])
                    recommender.learn([{**events[0], "event_id": "first", "item_id": "fresh"}])
        finally:
            done.set()
        for one in asking:
            one.result(60)
    with recommender:
        state = live_sha256(recommender)
    shutil.rmtree(run / "state" / "snapshots")
    assert state_of(run) == state
