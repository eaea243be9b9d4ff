"""The adapter: it starts at nothing, learns what drifts, never serves a broken update, and goes on where it stopped."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.adapter.made import HOUR, ITEMS, Circle, Driver, Products, adapter_of, ends_of, events_of
from torch import Tensor

from dynmm.adapter.guard import Guard
from dynmm.adapter.learning import Weights, gained
from dynmm.adapter.lessons import Lesson, slate
from dynmm.adapter.online import OnlineAdapter
from dynmm.adapter.space import MovedSpace
from dynmm.config import Config
from dynmm.errors import ConfigError
from dynmm.system import Query
from dynmm.types import UserHistory


def _users(space: Circle) -> Tensor:
    return space.user_vectors([UserHistory(np.asarray([item], np.int32)) for item in range(ITEMS)])


def test_untrained_it_changes_nothing() -> None:
    space = Circle()
    adapter = adapter_of(space)
    assert torch.equal(adapter.space.item_vectors, space.item_vectors)
    Driver(adapter).feed(events_of(9))
    adapter.boundary(HOUR)
    histories = [UserHistory(np.asarray([1], np.int32))]
    assert torch.equal(adapter.space.user_vectors(histories), space.user_vectors(histories))
    assert adapter.version == 0


def test_it_learns_what_everybody_takes_now() -> None:
    space = Circle()
    adapter = adapter_of(space)
    before = (_users(space) @ space.item_vectors.t()).softmax(1)[:, :3].sum(1).mean()
    Driver(adapter).feed(events_of(600))
    histories = [UserHistory(np.asarray([item], np.int32)) for item in range(ITEMS)]
    moved = adapter.space.user_vectors(histories) @ adapter.space.item_vectors.t()
    assert adapter.version > 0
    assert moved.softmax(1)[:, :3].sum(1).mean() > 1.2 * before


def test_the_base_stays_as_it_is_to_the_bit() -> None:
    space = Circle()
    before = space.item_vectors.clone()
    Driver(adapter_of(space)).feed(events_of(300))
    assert torch.equal(space.item_vectors, before)


def test_items_without_events_stand_where_they_stood() -> None:
    space = Circle()
    adapter = adapter_of(space)
    Driver(adapter).feed(events_of(400))
    assert adapter.trial.hot.tolist() == [0, 1, 2]
    assert torch.equal(adapter.space.item_vectors[3:], space.item_vectors[3:])
    assert not torch.equal(adapter.space.item_vectors[:3], space.item_vectors[:3])


def test_what_a_user_gets_does_not_hang_on_the_others() -> None:
    adapter = adapter_of()
    Driver(adapter).feed(events_of(400))
    histories = [UserHistory(np.asarray([item, item + 1], np.int32)) for item in range(20)]
    together = adapter.space.user_vectors(histories)
    alone = torch.cat([adapter.space.user_vectors([one]) for one in histories])
    assert torch.equal(together, alone)


@pytest.mark.parametrize("stop", [1, 57, 200, 333])
def test_stopped_and_put_back_it_is_the_same_to_the_bit(stop: int) -> None:
    events = events_of(400)
    straight = Driver(adapter_of()).feed(events)
    first = Driver(adapter_of()).feed(events[:stop])
    second = Driver(adapter_of())
    second.histories = first.histories
    arrays = {name: np.array(array) for name, array in first.adapter.arrays().items()}
    second.adapter.restore(arrays, first.adapter.card())
    assert torch.equal(second.adapter.space.item_vectors, first.adapter.space.item_vectors)
    second.feed(events[stop:])
    assert second.adapter.sha256() == straight.adapter.sha256()
    assert torch.equal(second.adapter.space.item_vectors, straight.adapter.space.item_vectors)


@pytest.mark.parametrize("harm", [float("nan"), float("inf"), 1e6])
def test_broken_updates_are_never_served(monkeypatch: pytest.MonkeyPatch, harm: float) -> None:
    from dynmm.adapter import learning, online

    whole, calls = learning.step, 0

    def breaking(shape: object, weights: Weights, *rest: object) -> float:
        nonlocal calls
        calls += 1
        loss = whole(shape, weights, *rest)  # type: ignore[arg-type]
        if calls % 3 == 0:
            weights.raw = weights.raw + harm
            weights.ema = weights.ema + harm
        return loss

    monkeypatch.setattr(online, "step", breaking)
    # Two steps at each boundary, so that a third of all steps breaks two thirds of the updates and no more.
    adapter = adapter_of(steps=2, step_events=10)
    driver = Driver(adapter)
    for start in range(0, 1_050, 10):
        driver.feed(events_of(1_050)[start : start + 10])
        vectors = adapter.space.user_vectors([UserHistory(np.asarray([5], np.int32))])
        assert torch.isfinite(vectors).all()
        assert torch.isfinite(adapter.space.item_vectors).all()
        assert float(vectors.abs().max()) < 100
    assert adapter.refused == calls // 3
    assert adapter.refused > 30


def test_a_version_that_fails_on_the_next_window_does_not_serve() -> None:
    adapter = adapter_of(learning_rate=0.05, stability=0.0, ema=0.5)
    driver = Driver(adapter).feed(events_of(400))
    assert adapter.version > 0
    # The world turns: what was taught is wrong from now on, until it is taught anew.
    driver.feed([(user, 20 + user, time + 400 * HOUR) for user, _, time in events_of(400)[:1]])
    window = adapter._waiting[0]
    adapter.guard.add([-1.0] * 500)
    assert not adapter.guard.passes
    driver.feed([(user, 20 + user, time + 500 * HOUR) for user, _, time in events_of(2)])
    assert adapter.version == 0
    assert len(window) == 1


@pytest.mark.parametrize("serves", [True, False])
def test_what_a_version_lifts_from_far_below_is_seen_whether_it_serves_or_not(serves: bool) -> None:
    adapter = adapter_of(near=4, negatives=1)
    driver = Driver(adapter).feed(events_of(400))
    if not serves:
        adapter.guard.add([-1.0] * 5_000)
        driver.feed([(user, item, time + 400 * HOUR) for user, item, time in events_of(2)])
        adapter.boundary(900 * HOUR)
    assert (adapter.version > 0) == serves
    assert adapter.on_trial > 0
    from_below = 0
    for newest in range(3, ITEMS):
        asked = Products(Query(UserHistory(np.asarray([newest], np.int32)), None))
        base, lifted = asked.best(adapter.trial.base, 4), asked.best(adapter.trial, 2)
        adapter.observe(5, 17, asked)
        told_from = adapter._waiting[-1].items[0, 1:7].numpy()
        assert np.isin(base, told_from).all()
        assert np.isin(lifted, told_from).all()
        from_below += not np.isin(lifted, base).all()
    assert from_below


def test_the_rest_of_the_items_is_stood_for_by_those_that_are_drawn() -> None:
    best, drawn = np.asarray([7, 3]), np.asarray([9, 3, 5, 8, 5])
    items, standing = slate(3, best, np.asarray([8]), drawn, room=3, n_items=43)
    assert items.tolist() == [3, 7, 3, 0, 9, 3, 5, 8, 5]
    # 3 is the answer, 8 is no candidate, and the third place has no item; 40 others are stood for by three draws.
    there = np.isfinite(standing)
    assert there.tolist() == [True, True, False, False, True, False, True, False, True]
    assert np.exp(standing[there]) == pytest.approx([1, 1, 40 / 3, 40 / 3, 40 / 3])


def test_gains_are_counted_as_deep_as_ranks_are_known() -> None:
    lesson = _lesson(np.asarray([[0.0, 0.0, 0.0, math.log(30)]]))
    deep = torch.tensor([[1.0, 2.0, 0.0, 0.0]])
    assert gained(deep, lesson, 4).tolist() == pytest.approx([1 / math.log2(3)])
    assert gained(torch.tensor([[1.0, 1.0, 1.0, 0.0]]), lesson, 4).tolist() == pytest.approx([0.5])
    assert gained(torch.tensor([[1.0, 0.0, 0.0, 2.0]]), lesson, 4).tolist() == [0.0]


def _lesson(standing: NDArray[np.float64]) -> Lesson:
    """One that says how many items each stands for, and nothing else."""
    nothing = {one.name: torch.zeros(len(standing)) for one in fields(Lesson)}
    return Lesson(**{**nothing, "standing": torch.from_numpy(standing.astype(np.float32))})


def test_versions_are_kept_and_can_be_gone_back_to() -> None:
    adapter = adapter_of(versions=3)
    Driver(adapter).feed(events_of(400))
    assert len(adapter.kept) <= 4
    wanted = min(adapter.kept)
    adapter.roll_back(wanted)
    assert adapter.version == wanted
    assert torch.equal(adapter.weights.raw, adapter.kept[wanted])
    assert torch.equal(adapter.weights.anchor, adapter.kept[wanted])
    adapter.roll_back(0)
    assert torch.equal(adapter.space.item_vectors, adapter.trial.base.item_vectors)
    assert torch.equal(adapter.weights.raw, adapter_of().weights.raw)
    assert adapter.weights.steps == 0
    assert not float(adapter.weights.first.abs().max())


@pytest.mark.parametrize("versions", [1, 2])
def test_what_is_on_trial_is_kept_however_few_versions_are(monkeypatch: pytest.MonkeyPatch, versions: int) -> None:
    """Where the base serves, the version that was tested last is tried: what it would lift must be seen."""
    monkeypatch.setattr(Guard, "passes", property(lambda _: False))
    adapter = adapter_of(versions=versions)
    driver, tried = Driver(adapter), set()
    for event in events_of(200):
        driver.feed([event])
        if adapter.on_trial:
            tried.add(adapter.on_trial)
            assert adapter.trial.weights is not None
            assert torch.equal(adapter.trial.weights, adapter.kept[adapter.on_trial])
    assert len(tried) > 10
    assert len(adapter.kept) <= versions + 2


def test_what_ranks_is_one_version_at_every_moment_of_a_boundary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others ask meanwhile: between the guard's word and the end of the lesson they get what served before."""
    learn, asked = OnlineAdapter._learn, []

    def asking(self: OnlineAdapter, window: Lesson) -> None:
        learn(self, window)
        served = self.space
        weights = served.weights if isinstance(served, MovedSpace) else None
        asked.append(next((one for one, flat in self.kept.items() if weights is not None and weights.equal(flat)), 0))

    monkeypatch.setattr(OnlineAdapter, "_learn", asking)
    adapter = adapter_of()
    driver, before = Driver(adapter), []
    for number, event in enumerate(events_of(600)):
        if adapter.due(event[2]):
            before.append(adapter.version)
        if number == 300:
            adapter.guard.add([-1.0] * 500)  # so that the base serves again
        driver.feed([event])
    assert asked == before
    assert len(set(asked)) > 3
    assert asked[-1] == 0


def test_the_vectors_that_somebody_ranks_by_stay_as_they_are() -> None:
    adapter = adapter_of()
    driver = Driver(adapter).feed(events_of(300))
    held = adapter.space
    assert held is not adapter.trial.base
    vectors, weights = held.item_vectors.clone(), adapter.kept[adapter.version].clone()
    driver.feed([(user, 20 + item, time + 300 * HOUR) for user, item, time in events_of(300)])
    adapter.roll_back(0)
    assert torch.equal(held.item_vectors, vectors)
    assert isinstance(held, MovedSpace)
    assert held.weights is not None
    assert torch.equal(held.weights, weights)


def test_what_is_fled_from_teaches_nothing_after_a_rollback() -> None:
    adapter = adapter_of()
    Driver(adapter).feed(events_of(403))
    assert adapter._waiting
    adapter.roll_back(0)
    assert (adapter.reservoir.kept, adapter._waiting, adapter._gathered) == (None, [], [])
    assert adapter.counted == 403


def _served(adapter: OnlineAdapter, events: list[tuple[int, int, int]]) -> set[int]:
    """Versions that served after each of some events."""
    driver = Driver(adapter)
    return {driver.feed([event]).adapter.version for event in events}


def _gone_back() -> tuple[OnlineAdapter, int]:
    adapter = adapter_of(guard_events=60)
    Driver(adapter).feed(events_of(400))
    wanted = min(adapter.kept)
    adapter.roll_back(wanted)
    return adapter, wanted


def test_what_was_gone_back_to_serves_until_another_has_proved_itself() -> None:
    adapter, wanted = _gone_back()
    # The first candidate is made at the end of the first window, and has 60 events behind it six windows later.
    later = [(user, item, time + 40 * HOUR) for user, item, time in events_of(200)]
    assert _served(adapter, later[:60]) == {wanted}
    served = _served(adapter, later[60:])
    assert wanted in served
    assert max(served) > wanted
    assert 0 not in served
    assert adapter.floor == 0


@pytest.mark.parametrize("harm", ["guard", "rival"])
def test_it_must_prove_itself_against_the_base_and_what_was_gone_back_to(harm: str) -> None:
    adapter, wanted = _gone_back()
    getattr(adapter, harm).add([-1.0] * 5_000)
    served = _served(adapter, [(user, item, time + 40 * HOUR) for user, item, time in events_of(200)])
    assert served == {wanted}
    assert wanted in adapter.kept


def test_after_a_rollback_it_stops_and_goes_on_to_the_bit() -> None:
    adapter, _ = _gone_back()
    later = [(user, item, time + 40 * HOUR) for user, item, time in events_of(30)]
    first = Driver(adapter).feed(later[:15])
    second = Driver(adapter_of(guard_events=60))
    second.adapter.restore({name: np.array(array) for name, array in adapter.arrays().items()}, adapter.card())
    second.histories = {user: list(items) for user, items in first.histories.items()}
    assert first.feed(later[15:]).adapter.sha256() == second.feed(later[15:]).adapter.sha256()


def test_one_user_cannot_flood_a_window() -> None:
    adapter = adapter_of(user_events=4)
    flood = [(0, 7, n) for n in range(50)]
    Driver(adapter).feed(flood)
    assert sum(len(one) for one in adapter._waiting) == 4
    assert adapter.counted == 50


def _taught(adapter: OnlineAdapter) -> int:
    return adapter.learned + sum(len(one) for one in (*adapter._waiting, *adapter._gathered))


def test_a_flood_that_ends_batches_has_no_more_say_in_its_window() -> None:
    adapter = adapter_of(user_events=4, batch=10)
    driver = Driver(adapter).feed([(0, 7, n) for n in range(200)])
    assert adapter.windows.ended == 19
    assert _taught(adapter) == 4
    driver.feed([(0, 7, HOUR + n) for n in range(200)])
    assert _taught(adapter) == 8


def test_a_late_event_at_the_end_of_a_batch_moves_no_window_back() -> None:
    adapter = adapter_of(batch=10)
    events = [(n % 12, n % 3, 100 * HOUR + n) for n in range(30)]
    events[10] = (1, 1, 5 * HOUR)
    Driver(adapter).feed(events)
    assert ends_of(adapter) == [10, 20]


def test_a_share_is_drawn_by_place_and_seed() -> None:
    some, same = adapter_of(share=0.3, user_events=10_000), adapter_of(share=0.3, user_events=10_000)
    wanted = [some.wants(position, 0) for position in range(2_000)]
    assert wanted == [same.wants(position, 0) for position in range(2_000)]
    assert 0.25 < np.mean(wanted) < 0.35


def test_items_that_come_can_be_learned_about() -> None:
    adapter = adapter_of()
    driver = Driver(adapter).feed(events_of(100))
    wider = Circle(ITEMS + 5)
    wider.item_vectors[:ITEMS] = adapter.trial.base.item_vectors
    adapter = driver.adapter = adapter.with_items(wider, wider.item_vectors)
    driver.feed([(user, ITEMS + 2, time + 20 * HOUR) for user, _, time in events_of(200)])
    assert ITEMS + 2 in adapter.summaries.hot().tolist()
    assert len(adapter.space.item_vectors) == ITEMS + 5


def test_a_window_that_is_no_duration_is_refused_before_any_fit() -> None:
    with pytest.raises(ConfigError, match=r"adapter.window.*'banana' is no duration.*or auto"):
        Config.of({"adapter": {"window": "banana"}})


def test_an_empty_window_and_a_window_of_one_event_are_windows() -> None:
    adapter = adapter_of()
    Driver(adapter).feed([(0, 1, 0), (1, 2, 50 * HOUR), (2, 3, 90 * HOUR)])
    adapter.boundary(91 * HOUR)
    adapter.boundary(99 * HOUR)
    assert ends_of(adapter) == [1, 2, 3, 3]


@pytest.mark.parametrize(
    "changes",
    [
        {"variant": "paper"},
        {"gate": False},
        {"ema": 0.0},
        {"replay": 0},
        {"ewc": 0.0},
        {"stability": 0.0},
        {"guard": False},
        {"steps": 3},
    ],
)
def test_every_ablation_runs_and_moves_otherwise(changes: dict[str, Any]) -> None:
    plain, other = Driver(adapter_of()).feed(events_of(200)), Driver(adapter_of(**changes)).feed(events_of(200))
    assert torch.isfinite(other.adapter.space.item_vectors).all()
    assert plain.adapter.sha256() != other.adapter.sha256()
