"""The log of claims while events come in: none is missed by who makes something of them at that moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tests.evaluation.fakes import dataset

from dynmm.assembly import books as module
from dynmm.assembly.books import Books
from dynmm.evidence.ledger import Ledger
from dynmm.types import Events


def one(user: int, item: int) -> Events:
    return Events(np.asarray([user], np.int32), np.asarray([item], np.int32), np.asarray([9], np.int64))


@pytest.fixture
def books() -> Books:
    return Books(dataset([(0, 0, 1), (0, 1, 2), (1, 1, 3), (1, 2, 4)], n_items=4))


def test_the_ledger_has_what_came_while_it_was_made(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    making, there = threading.Event(), threading.Event()
    books.append(one(0, 2))

    def slow(counted: Any) -> Ledger:
        making.set()
        there.wait(0.2)
        return Ledger.of(counted)

    monkeypatch.setattr(module, "Ledger", type("Slow", (), {"of": staticmethod(slow)}))
    with ThreadPoolExecutor(2) as threads:
        made = threads.submit(lambda: books.ledger)
        assert making.wait(10)
        threads.submit(books.append, one(1, 0)).add_done_callback(lambda _: there.set())
        ledger = made.result(10)
    assert ledger.offset == 4 + 2
    assert ledger.takers(0) == 2
    assert books.ledger is ledger


def test_batches_that_are_joined_lose_none_that_comes_meanwhile(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    joining, there = threading.Event(), threading.Event()
    real = module.joined

    def slow(parts: Any) -> Events:
        made = real(parts)
        joining.set()
        there.wait(0.2)
        return made

    monkeypatch.setattr(module, "joined", slow)
    books.append(one(0, 2))
    books.append(one(0, 3))
    with ThreadPoolExecutor(2) as threads:
        threads.submit(books.since)
        assert joining.wait(10)
        threads.submit(books.append, one(1, 0)).add_done_callback(lambda _: there.set())
    assert books.since().items.tolist() == [2, 3, 0]
    assert books.taken(0, as_of=5) == {2}
    assert books.taken(0, as_of=6) == {2, 3}
