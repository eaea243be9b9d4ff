"""Releases: when what is told of an item to the public moves on."""

from __future__ import annotations

import numpy as np
import pytest
from tests.worlds import circle_data

from dynmm.errors import DataError
from dynmm.evidence.ledger import Ledger
from dynmm.types import Events

EVERY = 7


def _taken(ledger: Ledger, item: int, times: int) -> list[int]:
    """The release of an item after each of so many people took it, one event of another item after each."""
    found = []
    for n in range(times):
        moments = np.asarray([2_000_000_000_000 + n] * 2) if ledger.has_time else None
        users = np.asarray([1_000 + n, 5_000 + n], np.int32)
        ledger.append(Events(users, np.asarray([item, item + 1], np.int32), moments))
        found.append(ledger.released(item, EVERY))
    return found


def test_an_item_is_released_at_the_fit_and_once_for_every_so_many_takers() -> None:
    ledger = Ledger.of(circle_data())
    start = ledger.released(3, EVERY)
    assert start == ledger.n_fitted
    moved = _taken(ledger, 3, 3 * EVERY)
    changes = [place for place, (old, new) in enumerate(zip([start, *moved], moved, strict=False)) if old != new]
    assert len(changes) == 3
    assert set(np.diff(changes)) == {EVERY}
    for place in changes:
        assert moved[place] == ledger.n_fitted + 2 * place + 1, "right behind the event of the taker"


def test_between_two_releases_nothing_that_is_told_changes() -> None:
    ledger = Ledger.of(circle_data())
    told: dict[int, int] = {}
    for n, released in enumerate(_taken(ledger, 3, 3 * EVERY)):
        users = ledger.together_users(3, 4, 50, released)
        assert told.setdefault(released, users) == users, n


def test_items_begin_to_count_at_different_places() -> None:
    ledgers = [Ledger.of(circle_data()) for _ in range(8)]
    first = {
        next(n for n, one in enumerate(_taken(made, 2 * place, EVERY)) if one > made.n_fitted)
        for place, made in enumerate(ledgers)
    }
    assert len(first) > 1


def test_a_release_is_one_as_of_itself_and_of_later_moments() -> None:
    ledger = Ledger.of(circle_data())
    *_, last = _taken(ledger, 3, 2 * EVERY)
    assert ledger.released(3, EVERY, last) == last
    assert ledger.released(3, EVERY, last - 1) < last
    assert ledger.released(3, 1) >= last
    with pytest.raises(DataError):
        ledger.released(3, EVERY, ledger.offset + 1)
