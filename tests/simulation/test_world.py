"""Worlds do what their configuration says, and their truth is the truth."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dynmm.interactions.dataset import Dataset
from dynmm.simulation import (
    CAUSES,
    AttackConfig,
    BurstConfig,
    GradualDrift,
    RecurringDrift,
    SuddenDrift,
    World,
    WorldConfig,
    simulate,
)

SMALL = WorldConfig(users=200, items=150, events=4_000, days=60)
DAY_MS = 86_400_000


def changed(**changes: object) -> WorldConfig:
    return WorldConfig.model_validate({**SMALL.model_dump(), **changes})


def shares(world: World) -> NDArray[np.float64]:
    """The time of each event as a share of the span."""
    assert world.events.timestamps is not None
    return (world.events.timestamps - world.start_ms) / (world.config.days * DAY_MS)


def caused_by(world: World, cause: str) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = world.cause == CAUSES.index(cause)
    return mask


@given(
    st.integers(0, 2**31),
    st.integers(1, 40),
    st.integers(12, 60),
    st.booleans(),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 0.9),
)
@settings(max_examples=25, deadline=None)
def test_any_world_is_sound(
    seed: int, users: int, items: int, repeats: bool, sequence: float, noise: float, new_items: float
) -> None:
    config = WorldConfig(
        users=users, items=items, events=users * 6, days=20, categories=6, new_categories=2, min_events=3,
        repeats=repeats, sequence=sequence, noise=noise, new_items=new_items, attack=AttackConfig(users=3),
        bursts=(BurstConfig(scope="category", at=0.1), BurstConfig(scope="item", at=0.5)),
    )  # fmt: skip
    world = simulate(config, seed)
    events, times = world.events, world.events.timestamps
    assert times is not None
    assert (np.diff(events.users) >= 0).all()
    assert (np.diff(times)[np.diff(events.users) == 0] >= 0).all()
    assert times.min() >= world.start_ms
    assert times.max() < world.moment_ms(1)
    assert len(np.unique(events.users)) == users + 3
    # No event precedes its item, and no item is taken twice where that is not allowed.
    assert ((times - world.start_ms) / 1000 >= world.catalogue.arrives[events.items]).all()
    pairs = events.users.astype(np.int64) * items + events.items
    assert repeats or len(np.unique(pairs)) == len(pairs)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    config = changed(drift=GradualDrift(kind="gradual"), attack=AttackConfig(), bursts=(BurstConfig(),))

    def digest(seed: int, name: str) -> dict[str, str]:
        simulate(config, seed).write(tmp_path / name)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        return {str(path.relative_to(tmp_path / name)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    one, same, other = digest(3, "one"), digest(3, "same"), digest(4, "other")
    assert one == same
    assert all(one[name] != other[name] for name in ("interactions.parquet", "items.parquet", "truth/users.parquet"))


def test_a_written_world_loads_with_the_same_numbers(tmp_path: Path) -> None:
    world = simulate(changed(attack=AttackConfig(), noun="song", verb="played"), 5)
    world.write(tmp_path / "data")
    for dataset in (Dataset.load(tmp_path / "data"), world.dataset()):
        assert dataset.users.ids == tuple(world.user_ids)
        assert dataset.items.ids == tuple(world.item_ids)
        assert dataset.events.users.tolist() == world.events.users.tolist()
        assert dataset.events.items.tolist() == world.events.items.tolist()
        assert dataset.events.timestamps is not None
        assert world.events.timestamps is not None
        assert dataset.events.timestamps.tolist() == world.events.timestamps.tolist()
        assert (dataset.info.noun, dataset.info.verb, dataset.info.time_resolution) == ("song", "played", "second")
    truth = pl.read_parquet(tmp_path / "data" / "truth" / "events.parquet")
    assert truth["cause"].to_list() == [CAUSES[one] for one in world.cause]


def test_frequencies_are_the_probabilities() -> None:
    """Chi-square of one user's many events against the distribution that the world says it draws from."""
    config = WorldConfig(
        users=1, items=40, events=20_000, min_events=1, days=3_000, new_items=0, new_categories=0, repeats=True
    )
    world = simulate(config, 1)
    items = world.events.items
    assert world.events.timestamps is not None
    expected = np.zeros(40)
    follows = np.concatenate([[-1], items[:-1]])
    for previous, count in zip(*np.unique(follows, return_counts=True), strict=True):
        chances = world.probabilities(0, world.moment_ms(0.5), previous=None if previous < 0 else int(previous))
        assert chances.sum() == pytest.approx(1)
        expected += count * chances
    seen = np.bincount(items, minlength=40)
    statistic = float(((seen - expected) ** 2 / expected).sum())
    assert statistic < 80  # 39 degrees of freedom: a right world exceeds this once in 8,000 seeds


def test_probabilities_know_bursts_arrivals_and_what_was_seen() -> None:
    world = simulate(changed(bursts=(BurstConfig(scope="item", at=0.5, hours=24, share=0.4),)), 2)
    hot = world.bursts[0].target
    during, before = world.moment_ms(0.5), world.moment_ms(0.49)
    assert world.probabilities(0, during)[hot] == pytest.approx(
        0.4 + 0.6 * world.probabilities(0, before)[hot], abs=0.02
    )
    assert world.probabilities(0, during, seen=[hot])[hot] == 0
    late = int(world.catalogue.arrives.argmax())
    assert world.probabilities(0, before)[late] == 0
    assert world.probabilities(0, world.moment_ms(1))[late] > 0
    assert world.probabilities(0, during, previous=3, seen=[1, 2]).sum() == pytest.approx(1)


def oracle_change(world: World, users: NDArray[np.int64], early: float, late: float) -> float:
    """Share of the oracle's best ten that differs between two moments, on average over users."""
    moments = world.moment_ms(early), world.moment_ms(late)
    best = [[set(world.oracle(int(user), at, 10).tolist()) for at in moments] for user in users]
    overlap = [len(then & now) for then, now in best]
    return 1 - float(np.mean(overlap)) / 10


def still_world(**changes: object) -> WorldConfig:
    return changed(new_items=0, new_categories=0, **changes)


def test_sudden_drift_changes_the_oracle_at_its_moment_and_not_before() -> None:
    world = simulate(still_world(drift=SuddenDrift(at=0.5, share=0.5)), 6)
    drifting, steady = (np.flatnonzero(world.tastes.drifts == value)[:40] for value in (True, False))
    assert 0.35 < world.tastes.drifts.mean() < 0.65
    assert oracle_change(world, drifting, 0.0, 0.499) == 0
    assert oracle_change(world, drifting, 0.501, 1.0) == 0
    assert oracle_change(world, drifting, 0.499, 0.501) > 0.3
    assert oracle_change(world, steady, 0.0, 1.0) == 0


def test_events_before_a_drift_are_those_of_the_world_without_it() -> None:
    drifting, steady = (
        simulate(still_world(drift=SuddenDrift(at=0.6), repeats=True), 6),
        simulate(still_world(repeats=True), 6),
    )
    early = shares(drifting) < 0.6
    assert early.mean() > 0.3
    assert drifting.events.items[early].tolist() == steady.events.items[early].tolist()
    assert drifting.events.items[~early].tolist() != steady.events.items[~early].tolist()


def test_gradual_and_recurring_drift() -> None:
    world = simulate(still_world(drift=GradualDrift(at=0.2, until=0.6, share=1.0)), 1)
    users, span = np.zeros(4, dtype=np.int64), world.config.days * 86_400
    assert world.tastes.moved(users, np.array([0.1, 0.3, 0.5, 0.9]) * span) == pytest.approx([0, 0.25, 0.75, 1])
    taste = world.taste(0, world.moment_ms(0.4))
    assert taste == pytest.approx((world.tastes.before[0] + world.tastes.after[0]) / 2, abs=1e-3)

    world = simulate(still_world(drift=RecurringDrift(at=0.0, period_days=10, share=1.0)), 1)
    days = np.array([5.0, 15.0, 25.0, 35.0])
    assert world.tastes.moved(users, days * 86_400).tolist() == [1, 0, 1, 0]
    assert (
        world.oracle(0, world.moment_ms(5 / 60), 10).tolist() == world.oracle(0, world.moment_ms(25 / 60), 10).tolist()
    )


def test_new_categories_open_and_new_items_arrive() -> None:
    world = simulate(changed(new_categories=2, new_items=0.3), 8)
    catalogue, span = world.catalogue, world.config.days * 86_400
    old = catalogue.category < world.config.categories - 2
    assert 0.2 < (catalogue.arrives[old] > 0).mean() < 0.4
    for category, opens in ((10, 0.35), (11, 0.65)):
        arrives = catalogue.arrives[catalogue.category == category]
        assert arrives.min() == pytest.approx(opens * span)
    assert (np.bincount(world.events.items, minlength=150)[~old] > 0).any()


def test_attackers_are_marked_and_push_their_targets() -> None:
    attack = AttackConfig(users=40, targets=2, events_each=6, at=0.5, hours=12)
    world = simulate(changed(attack=attack), 9)
    assert world.attackers.sum() == 40
    by_fakes = world.attackers[world.events.users]
    assert by_fakes.tolist() == caused_by(world, "attack").tolist()
    assert ((shares(world)[by_fakes] >= 0.5) & (shares(world)[by_fakes] < 0.5 + 0.5 / 60 + 1e-9)).all()
    pushed = np.isin(world.events.items, world.targets)
    assert np.bincount(world.events.items[by_fakes & pushed], minlength=150)[world.targets].tolist() == [40, 40]
    assert (pushed & ~by_fakes).sum() < (pushed & by_fakes).sum()
    with pytest.raises(ValueError, match="fake"):
        world.probabilities(int(np.flatnonzero(world.attackers)[0]), world.moment_ms(0.5))


@pytest.mark.parametrize("scope", ["item", "category"])
def test_bursts_are_marked_and_within_their_hours(scope: str) -> None:
    burst = BurstConfig(scope=scope, at=0.7, hours=72, share=0.5)
    world = simulate(changed(bursts=(burst,), repeats=True), 10)
    hot = caused_by(world, "burst")
    during = (shares(world) >= 0.7) & (shares(world) < 0.7 + 3 / 60)
    assert hot.any()
    assert not hot[~during].any()
    assert 0.35 < hot[during].mean() < 0.65
    target = world.events.items if scope == "item" else world.catalogue.category[world.events.items]
    assert (target[hot] == world.bursts[0].target).all()


def test_popularity_skew_lengthens_the_tail() -> None:
    heads = []
    for skew in (0.0, 0.5, 1.0, 1.5):
        world = simulate(still_world(popularity_skew=skew, taste_strength=1.0), 11)
        counts = np.sort(np.bincount(world.events.items, minlength=150))[::-1]
        heads.append(counts[:15].sum() / counts.sum())
    assert heads == sorted(heads)
    assert heads[-1] > 2 * heads[0]


def hits(world: World, ranks: int = 10) -> tuple[float, float, float]:
    """Hit rate of each user's last event: the whole oracle, the oracle without sequence, popularity."""
    counts = np.bincount(world.events.items, minlength=world.config.items)
    times = world.events.timestamps
    assert times is not None
    found = np.zeros(3)
    last = np.flatnonzero(np.diff(world.events.users, append=-1) != 0)
    for row in last:
        user, target = int(world.events.users[row]), world.events.items[row]
        seen = world.events.items[world.events.users == user][:-1]
        previous = int(world.events.items[row - 1])
        popular = counts.astype(float)
        popular[seen] = -1
        found += [
            target in world.oracle(user, int(times[row]), ranks, previous=previous, seen=seen),
            target in world.oracle(user, int(times[row]), ranks, seen=seen),
            target in np.argsort(-popular, kind="stable")[:ranks],
        ]
    whole, taste, popularity = (found / len(last)).tolist()
    return whole, taste, popularity


def test_there_is_taste_and_sequence_to_learn() -> None:
    whole, taste, popularity = hits(simulate(SMALL, 12))
    assert taste > 1.8 * popularity
    assert whole > taste + 0.05


def test_items_read_well() -> None:
    world = simulate(changed(categories=60, new_categories=0, factors=40), 13)
    items = world.items()
    assert items["title"].n_unique() > 0.95 * items.height
    assert items["title"].str.contains(r"^[A-Z][A-Za-z]+( [A-Z][A-Za-z]*)+ \d+$").all()
    assert items["categories"].list.len().unique().to_list() == [1]
    assert items["categories"].explode().n_unique() == 60
    assert items["year"].is_between(1980, 2024).all()
    assert items["description"].str.contains(r"^An? [a-z]+.* story of .*, made by [A-Z]").all()
    titled = simulate(changed(title_template="{brand}: {category}"), 13).items()
    assert titled["title"][0] == f"{titled['brand'][0]}: {titled['categories'][0][0]}"
