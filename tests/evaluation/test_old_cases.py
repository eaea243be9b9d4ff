"""Old users and items against the frozen model: who is old, and the word for what was found."""

from __future__ import annotations

import numpy as np
import pytest
from tests.evaluation.fakes import dataset, events

from dynmm.evaluation.old_cases import MARGIN, OLD_EVENTS, old_cases, old_groups, old_table
from dynmm.evaluation.replay import Stream
from dynmm.evaluation.scores import SystemScores

#: User 0 and item 0 have as many events as it takes, user 1 and item 1 one fewer, the others none.
ROWS = [(0, 0, t) for t in range(OLD_EVENTS)] + [(1, 1, t) for t in range(OLD_EVENTS - 1)]


def over(rows: list[tuple[int, int, int]], n_users: int = 400) -> Stream:
    return Stream.of(dataset(ROWS, n_users=n_users, n_items=5), events(rows))


def test_old_is_who_had_enough_before_the_stream() -> None:
    stream = over([(0, 1, 100), (1, 0, 101), (1, 0, 102), (7, 3, 103)])
    groups = old_groups(stream)
    assert groups["old users"].tolist() == [True, False, False, False]
    assert groups["old items"].tolist() == [False, True, True, False]


def verdicts(difference: float, n_users: int, spread: float, *, frozen: bool = True) -> set[str]:
    """Users who all had item 0 before; half of them gain the spread and half lose it, beside the difference."""
    base = dataset([(u, 0, t) for u in range(n_users) for t in range(OLD_EVENTS)], n_users=n_users, n_items=2)
    stream = Stream.of(base, events([(u, 0, 100 + u) for u in range(n_users)]))
    theirs = np.full((1, n_users), 0.5)
    ours = theirs + difference + spread * np.where(np.arange(n_users) % 2, 1, -1)
    systems = [SystemScores("dynmm", {"hit@10": ours}), SystemScores("dynmm/frozen", {"hit@10": theirs})]
    return {one["verdict"] for one in old_cases(systems if frozen else systems[:1], stream)}


@pytest.mark.parametrize(
    ("difference", "n_users", "spread", "word"),
    [
        (0.0, 1_600, 0.0, "not inferior"),
        (0.0, 400, 0.0, "underpowered"),
        (-2 * MARGIN, 1_600, 0.0, "inferior"),
        (-2 * MARGIN, 400, 0.0, "underpowered"),
        (0.0, 400, 0.3, "underpowered"),
        (0.3, 400, 0.3, "not inferior"),
        (-0.95 * MARGIN, 400, 0.01, "not shown"),
        (0.0, 1, 0.0, "underpowered"),
    ],
)
def test_the_word_follows_the_bound_and_the_power(difference: float, n_users: int, spread: float, word: str) -> None:
    assert verdicts(difference, n_users, spread) == {word}


def test_without_a_frozen_model_nothing_is_tested() -> None:
    assert verdicts(0.0, 10, 0.0, frozen=False) == set()


def test_groups_that_nobody_is_in_are_underpowered_and_told() -> None:
    stream = over([(7, 3, 100), (8, 3, 101)])
    values = {"hit@10": np.ones((1, 2))}
    told = old_cases([SystemScores("dynmm", values), SystemScores("dynmm/frozen", values)], stream)
    assert {(one["cases"], one["verdict"]) for one in told} == {(0, "underpowered")}
    table = old_table({"old_cases": [one | {"ours_mean": None, "frozen_mean": None, "lower": None} for one in told]})
    assert "underpowered" in table.to_text()
