"""Fake users push ten unpopular items: how much more do honest users see of them, and what does it cost these users?

    python benchmarks/attackers.py --out benchmarks/results/attackers.json
    python benchmarks/attackers.py --system dynmm --system dynmm/static --set evidence.trend_say=null \\
        --out benchmarks/results/attackers-say-null.json

A simulated world. The first 70 % of its events train. Soon after, within a day, fake users, 1 % as many as there are
honest ones, each take ten items of the less popular half and as many popular ones. The stream is replayed twice, with
their events and without; all else is the same, the fit included. Measured over the questions of honest users in the
four days from the beginning of the attack: exposure, the share of places in their top ten that the pushed items fill,
and NDCG@10. Both are also given for the first two of these days alone, when it is at its worst. Intervals are 95 % over
honest users, those of all seeds together, each drawn with all of their questions in both streams.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from _simulated import fit_world, fitted, keep, ours, replayed, stream_of
from numpy.typing import NDArray

from dynmm import Recommender
from dynmm.evaluation.bootstrap import interval, resampled_means
from dynmm.evaluation.ladder import FROZEN, STATIC, WHOLE
from dynmm.evaluation.replay import Stream
from dynmm.evaluation.scores import Users
from dynmm.simulation import AttackConfig, World, WorldConfig, simulate
from dynmm.system import System
from dynmm.types import BoolArray, FloatArray

COMPARISONS = ("recent-popularity-1d", "recent-popularity-7d", "online-item-knn", "item-knn")
SYSTEMS = (WHOLE, STATIC, FROZEN, *COMPARISONS)
#: At most so many times the exposure, and so much of NDCG@10 lost.
MOST_EXPOSURE, MOST_LOST = 2.0, 0.01
DAYS, WORST_DAYS = 4.0, 2.0
ATTACKED, CLEAN = "with", "without"
DAY_MS = 86_400_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--users", type=int, default=800)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--fakes", type=int, default=8)
    parser.add_argument("--at", type=float, default=0.80, help="when they come, as a share of the span")
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="by default all")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one override; repeatable")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    attack = AttackConfig(users=arguments.fakes, targets=10, events_each=20, at=arguments.at, hours=24.0)
    config = WorldConfig(
        users=arguments.users, items=arguments.items, events=arguments.events, new_items=0.05, attack=attack
    )
    seen: list[Seen] = []
    for seed in arguments.seeds:
        seen.append(measure(config, seed, arguments.set, arguments.system or SYSTEMS))
        result = summary(seen)
        print_table(result)
        keep(arguments.out, arguments.seeds[: len(seen)], arguments.set, config, result)


@dataclass(frozen=True, eq=False)
class Seen:
    """One world. users: (N,) honest ones, by question since the attack. worst: (N,) those of the first two days.

    exposure, ndcg: (N,) by system, with and without the attack.
    """

    seed: int
    fitted_on: int
    stream_events: int
    fake_events: int
    pushed_before: int
    users: NDArray[np.int64]
    worst: BoolArray
    exposure: dict[str, dict[str, FloatArray]] = field(default_factory=dict)
    ndcg: dict[str, dict[str, FloatArray]] = field(default_factory=dict)


def measure(config: WorldConfig, seed: int, assignments: Sequence[str], names: Sequence[str]) -> Seen:
    """Every system through one world, with the fake users and without them."""
    world = simulate(config, seed)
    recommender = fit_world(world, assignments, seed)
    attacked, clean, start = _streams(world, recommender)
    late = clean.times >= start
    seen = Seen(
        seed,
        fitted_on=len(attacked.base.events),
        stream_events=len(clean.events),
        fake_events=len(attacked.events) - len(clean.events),
        pushed_before=int(np.isin(attacked.base.events.items, world.targets).sum()),
        users=clean.events.users[late].astype(np.int64),
        worst=clean.times[late] < start + WORST_DAYS * DAY_MS,
    )
    for name in names:
        make = _systems(recommender, attacked)[name]
        seen.exposure[name], seen.ndcg[name] = {}, {}
        for stream, kind in ((attacked, ATTACKED), (clean, CLEAN)):
            outcome, lists = replayed(f"{name}, {kind}", make(), stream)
            asked = ~world.attackers[stream.events.users] & (stream.times >= start)
            seen.exposure[name][kind] = np.isin(lists[asked], world.targets).mean(axis=1)
            seen.ndcg[name][kind] = outcome.values["ndcg@10"][asked]
    return seen


def _streams(world: World, recommender: Recommender) -> tuple[Stream, Stream, int]:
    """The stream with the fake users, the same without them, and the moment of their first event."""
    whole = stream_of(recommender)
    start = int(whole.times[world.attackers[whole.events.users]].min())
    soon = whole.times < start + DAYS * DAY_MS
    attacked = Stream.of(whole.base, whole.events.take(np.flatnonzero(soon)), window="1h")
    fake = world.attackers[attacked.events.users]
    assert not world.attackers[attacked.base.events.users].any(), "the attack belongs into the stream: a later --at"
    clean = Stream.of(attacked.base, attacked.events.take(np.flatnonzero(~fake)), window="1h")
    assert np.array_equal(attacked.events.items[~fake], clean.events.items), "the streams differ by the attack alone"
    return attacked, clean, start


def _systems(recommender: Recommender, stream: Stream) -> dict[str, Callable[[], System]]:
    return ours(recommender) | {name: lambda name=name: fitted(name, stream) for name in COMPARISONS}


def summary(seen: Sequence[Seen]) -> dict[str, Any]:
    """Exposure and NDCG@10 of each system, with the ratios that are bounded."""
    told: dict[str, Any] = {
        "fitted_on_events": [one.fitted_on for one in seen],
        "honest_stream_events": [one.stream_events for one in seen],
        "fake_events": [one.fake_events for one in seen],
        "pushed_items_events_in_training": [one.pushed_before for one in seen],
        "wanted": {"exposure_ratio": MOST_EXPOSURE, "ndcg_lost": MOST_LOST},
    }
    for period in ("four days", "first two days"):
        rows = [np.ones_like(one.worst) if period == "four days" else one.worst for one in seen]
        told[period] = {"questions": sum(int(one.sum()) for one in rows)}
        told[period] |= {name: _readings(seen, rows, name) for name in seen[0].exposure}
    return told


def _readings(seen: Sequence[Seen], rows: Sequence[BoolArray], name: str) -> dict[str, Any]:
    apart = 1 + max(int(one.users.max()) for one in seen)
    users = Users(np.concatenate([one.users[kept] + apart * place for place, (one, kept) in _numbered(seen, rows)]))
    columns = [
        np.concatenate([getattr(one, what)[name][kind][kept] for one, kept in zip(seen, rows, strict=True)])
        for what in ("exposure", "ndcg")
        for kind in (ATTACKED, CLEAN)
    ]
    means = [users.mean(one) for one in columns]
    drawn = resampled_means(np.stack([users.sums(one) for one in columns], axis=1), users.counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = drawn[:, [0, 2]] / drawn[:, [1, 3]]
    low, high = interval(ratios)
    return {
        "users": len(users),
        "exposure": {ATTACKED: means[0], CLEAN: means[1]},
        "exposure_ratio": _over(means[0], means[1]),
        "exposure_ratio_ci95": [float(low[0]), float(high[0])],
        "ndcg@10": {ATTACKED: means[2], CLEAN: means[3]},
        "ndcg_change": _over(means[2], means[3]) - 1.0,
        "ndcg_change_ci95": [float(low[1]) - 1.0, float(high[1]) - 1.0],
        "exposure_ratio_by_seed": [_by_seed(one, kept, name, "exposure") for one, kept in zip(seen, rows, strict=True)],
        "ndcg_ratio_by_seed": [_by_seed(one, kept, name, "ndcg") for one, kept in zip(seen, rows, strict=True)],
    }


def _numbered(seen: Sequence[Seen], rows: Sequence[BoolArray]) -> list[tuple[int, tuple[Seen, BoolArray]]]:
    return list(enumerate(zip(seen, rows, strict=True)))


def _by_seed(one: Seen, kept: BoolArray, name: str, what: str) -> float | None:
    found: dict[str, FloatArray] = getattr(one, what)[name]
    own, other = float(found[ATTACKED][kept].mean()), float(found[CLEAN][kept].mean())
    return own / other if other else None


def _over(own: float, other: float) -> float:
    return own / other if other else float("nan")


def print_table(result: Mapping[str, Any]) -> None:
    for period in ("four days", "first two days"):
        print(f"\n{period}: {result[period]['questions']:,} questions, {len(result['fake_events'])} seeds")
        print(f"{'':22} exposure with, without, ratio [95 %]; NDCG@10 with, without, change [95 %]")
        for name, one in result[period].items():
            if name == "questions":
                continue
            shown, good = one["exposure"], one["ndcg@10"]
            low, high = one["exposure_ratio_ci95"]
            down, up = one["ndcg_change_ci95"]
            print(f"{name:22} {shown[ATTACKED]:.4f} {shown[CLEAN]:.4f} {one['exposure_ratio']:.2f}", end=" ")
            print(f"[{low:.2f}, {high:.2f}]; {good[ATTACKED]:.4f} {good[CLEAN]:.4f}", end=" ")
            print(f"{one['ndcg_change']:+.2%} [{down:+.2%}, {up:+.2%}]")


if __name__ == "__main__":
    main()
