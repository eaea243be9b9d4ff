"""The attack finds what exact counts give away, and nothing where nothing is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from dynmm.errors import EmptyDataError
from dynmm.evaluation.attack import AttackSettings, Past, PublicView, attack, interleaved, level
from dynmm.evaluation.attack_scores import FROM_TARGET, GAIN, Guess, attack_json, named, right_pairs
from dynmm.evaluation.scores import Resampling
from dynmm.factids import FactId
from dynmm.interactions.vocabulary import Vocabulary
from dynmm.types import Events

USERS, ITEMS = 60, 40


class Counter:
    """Counts people out of the log itself, as of any offset."""

    def __init__(self, events: Events, items: Vocabulary) -> None:
        self.items = items
        self.rows = list(zip(events.users.tolist(), events.items.tolist(), strict=True))

    def append(self, events: Events) -> int:
        self.rows += zip(events.users.tolist(), events.items.tolist(), strict=True)
        return len(self.rows)

    def people(self, fact: FactId, as_of: int) -> int:
        taken: dict[int, set[int]] = {}
        for user, item in self.rows[:as_of]:
            taken.setdefault(user, set()).add(item)
        item = self.items.encode(fact.item)
        sources = {self.items.encode(one) for one in fact.sources}
        return sum(item in items and (not sources or bool(sources & items)) for items in taken.values())


class Seen:
    """The counter as one view shows it: counts below k are not told, the others in buckets of `width`."""

    def __init__(self, counter: Counter, k: int = 1, width: int = 1) -> None:
        self.counter, self.k, self.width = counter, k, width

    def public_fact(self, fact: str, as_of: int) -> Mapping[str, Any] | None:
        people = self.counter.people(FactId.parse(fact), as_of)
        return {"users_more_than": people - people % self.width, "title": "x"} if people >= self.k else None


class Silent:
    def public_fact(self, fact: str, as_of: int) -> Mapping[str, Any] | None:
        return None


def world(seed: int = 0) -> tuple[Past, Events]:
    """Everybody takes items in an order of their own; the last third of each is the stream, users mixed."""
    rng = np.random.default_rng(seed)
    rows = [(user, int(item)) for user in range(USERS) for item in rng.permutation(ITEMS)[:18]]
    users, items = (np.array(column, np.int32) for column in zip(*rows, strict=True))
    offsets = np.arange(0, len(rows) + 1, 18)
    late = interleaved(offsets, 1 / 3, seed)
    early = np.setdiff1d(np.arange(len(rows)), late)
    everything = Events(users, items)
    return Past(everything.take(early), Vocabulary([f"i{item}" for item in range(ITEMS)])), everything.take(late)


SETTINGS = AttackSettings(known=3, period=6, targets=12, others=8, unions=2)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    past, stream = world()
    counter = Counter(past.events, past.items)
    views: dict[str, PublicView] = {"exact": Seen(counter), "silent": Silent(), "coarse": Seen(counter, k=5, width=500)}
    return attack_json(attack(counter, views, past, stream, SETTINGS), how=Resampling(200))


def test_exact_counts_give_the_target_away(found: dict[str, Any]) -> None:
    told = found["exact"]
    assert told[GAIN]["mean"] > 0.3
    assert told[FROM_TARGET]["mean"] > 0.2
    assert told[FROM_TARGET]["ci95"][0] > 0.1
    assert told["names"]["right"] > 3 * told["names"]["by_lot"]
    assert told["any_change"]["hit_rate"] == 1
    assert not told["reached"]


def test_nothing_told_gives_nothing_away(found: dict[str, Any]) -> None:
    told = found["silent"]
    assert told[GAIN] == told[FROM_TARGET] == {"mean": 0, "ci95": [0, 0]}
    assert told["names"] == {"share": 0, "right": None, "by_lot": pytest.approx(1 / 9)}
    assert told["reached"]
    assert told["shown"]


def test_coarse_counts_give_little_away(found: dict[str, Any]) -> None:
    assert found["coarse"][FROM_TARGET]["mean"] < found["exact"][FROM_TARGET]["mean"] / 2


def test_without_the_targets_events_the_exact_view_shows_other_people_alone() -> None:
    past, stream = world()
    counter = Counter(past.events, past.items)
    guesses = attack(counter, {"exact": Seen(counter)}, past, stream, SETTINGS)["exact"]
    assert len(counter.rows) <= USERS * 18
    for one in guesses:
        assert (one.without[1:] == one.given[1:]).all(), "the others are no items of the target"
        # 3 known items as `together` and as `followed`, two pairs of them and all three.
        assert one.without[0] <= one.given[0] <= 10
    assert np.mean([one.given[0] for one in guesses]) > np.mean([one.given[1:].mean() for one in guesses])


def test_when_nobody_else_acts_only_the_target_can_be_seen() -> None:
    past, stream = world(seed=3)
    counter = Counter(past.events, past.items)
    settings = SETTINGS.model_copy(update={"period": 1})
    guesses = attack(counter, {"exact": Seen(counter)}, past, stream, settings)["exact"]
    assert all(not one.without.any() for one in guesses)
    assert attack_json({"exact": guesses})["exact"][GAIN]["mean"] == pytest.approx(0.5)


def test_the_same_seed_attacks_the_same() -> None:
    def once(seed: int) -> list[list[int]]:
        past, stream = world()
        counter = Counter(past.events, past.items)
        settings = SETTINGS.model_copy(update={"targets": 3, "seed": seed})
        return [
            one.given.tolist() for one in attack(counter, {"exact": Seen(counter)}, past, stream, settings)["exact"]
        ]

    assert once(0) == once(0)
    assert once(0) != once(1)


def test_nobody_to_attack_is_told() -> None:
    past, stream = world()
    counter = Counter(past.events, past.items)
    with pytest.raises(EmptyDataError, match="30 earlier items"):
        attack(counter, {"exact": Seen(counter)}, past, stream, SETTINGS.model_copy(update={"known": 30}))


def test_a_pair_is_right_where_the_item_taken_rose_more() -> None:
    assert right_pairs(np.array([2, 1, 1, 0])) == 1
    assert right_pairs(np.array([1, 1, 2, 0])) == pytest.approx((0.5 + 0 + 1) / 3)
    assert right_pairs(np.array([0, 0])) == 0.5
    assert named(np.array([2, 1])) == 0
    assert named(np.array([1, 2, 2])) is None
    assert named(np.array([0, 0])) is None


def test_the_bar_is_held_against_the_mean_and_the_interval() -> None:
    rng = np.random.default_rng(0)
    guesses = [Guess(target, np.zeros(2, int), np.array([int(rng.random() < 0.03), 0])) for target in range(400)]
    told = attack_json({"view": guesses}, how=Resampling(300))["view"]
    assert told[GAIN]["mean"] == pytest.approx(np.mean([one.given[0] for one in guesses]) / 2)
    assert told["reached"]
    few = attack_json({"view": guesses[:40]}, bar=told[GAIN]["mean"] / 10, how=Resampling(300))["view"]
    assert few["shown"] is False


def test_people_are_read_out_of_any_view() -> None:
    assert level(None) == 0
    assert level({"users": 7, "source_users": 90, "window": 50}) == 7
    assert level({"users_more_than": 200, "within": 3}) == 200
    assert level({"title": "x"}) == 0


def test_users_are_mixed_and_keep_their_order() -> None:
    offsets = np.array([0, 10, 10, 30])
    rows = interleaved(offsets, 0.5, 1)
    assert sorted(rows) == [*range(5, 10), *range(20, 30)]
    assert [row for row in rows if row < 10] == list(range(5, 10))
    assert [row for row in rows if row >= 20] == list(range(20, 30))
    assert list(rows) != sorted(rows)
    assert list(rows) == list(interleaved(offsets, 0.5, 1))
