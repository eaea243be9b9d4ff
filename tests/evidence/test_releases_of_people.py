"""A release counts people: who takes an item again moves nothing on."""

from __future__ import annotations

import numpy as np
import pytest
from tests.worlds import circle_data

from dynmm.evidence.ledger import Ledger
from dynmm.types import Events

EVERY = 7


def _learn(ledger: Ledger, user: int, item: int) -> int:
    """The release of the item behind one more event of it."""
    ledger.append(Events(np.asarray([user], np.int32), np.asarray([item], np.int32), np.asarray([2_000_000_000_000])))
    return ledger.released(item, EVERY)


@pytest.mark.parametrize("user", [0, 1_000], ids=["somebody of the fit", "somebody new"])
def test_one_person_who_takes_an_item_again_and_again_releases_it_once_at_most(user: int) -> None:
    ledger = Ledger.of(circle_data())
    moved = [_learn(ledger, user, 3) for _ in range(5 * EVERY)]
    assert len(set(moved)) == 1
    assert moved[0] in (ledger.n_fitted, ledger.n_fitted + 1)


def test_who_took_it_at_the_fit_is_no_new_taker() -> None:
    ledger = Ledger.of(circle_data())
    theirs = np.unique(ledger.postings.keys(3) >> 32)
    assert {_learn(ledger, int(user), 3) for user in theirs} == {ledger.n_fitted}


def test_takers_again_in_between_do_not_bring_a_release_forward() -> None:
    plain, again = Ledger.of(circle_data()), Ledger.of(circle_data())
    first = [_learn(plain, 1_000 + n, 3) for n in range(3 * EVERY)]
    second = []
    for n in range(3 * EVERY):
        second.append(_learn(again, 1_000 + n, 3))
        _learn(again, 1_000, 3)
    changes = [[n for n in range(1, len(moved)) if moved[n] != moved[n - 1]] for moved in (first, second)]
    assert changes[0] == changes[1]
    assert len(changes[0]) >= 2
