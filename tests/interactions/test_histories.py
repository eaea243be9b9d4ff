"""Histories that are read while events come in."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tests.evaluation.fakes import dataset
from tests.switching import switching_every

from dynmm.interactions.histories import Histories
from dynmm.types import Events


def test_a_history_that_is_read_meanwhile_has_a_time_for_every_item() -> None:
    """Of many events: numpy looks into longer arrays while other threads run, and what it looks into cannot grow."""
    histories, done = Histories(dataset([(0, 0, 1), (0, 1, 2)], n_items=9)), threading.Event()
    count = 20_000
    events = Events(np.zeros(count, np.int32), np.arange(count, dtype=np.int32) % 9, np.arange(3, count + 3))

    def read() -> None:
        while not done.is_set():
            found = histories.of(0)
            assert found.timestamps is not None
            assert len(found.items) == len(found.timestamps)
            assert found.timestamps.tolist() == list(range(1, len(found) + 1))

    with switching_every(1e-6), ThreadPoolExecutor(2) as threads:
        readers = [threads.submit(read) for _ in range(2)]
        try:
            for start in range(0, count, 10):
                histories.append(events.take(slice(start, start + 10)))
        finally:
            done.set()
        for one in readers:
            one.result(30)
    assert len(histories.of(0)) == count + 2
