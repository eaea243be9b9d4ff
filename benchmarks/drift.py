"""Tastes change at one moment, for good: after how many events is each system back where it was?

    python benchmarks/drift.py --seeds 0 1 --out benchmarks/results/drift.json

A simulated world, in which users may take an item again. The first 70 % of its events train; some way into the rest
every user gets another taste. Each event is asked about before anything learns from it. The oracle knows the true
tastes of the moment, the true popularity and what follows on what, and ranks by the true chances: nothing can do
better. A system's share is its HR@10 over the oracle's on the same events. It is back when its share over a sliding
window of events, all of them after the change, reaches 90 % of the oracle's. A second reading takes 90 % of its own
share before the change, and a third takes blocks of events and 75 % of the oracle's for everybody. `hits` counts what
was taken; `expected` sums the true chances of the ten items shown, which is the same without the luck of the draw.
Events of all seeds are taken together, by their place since the change.

    python benchmarks/drift.py --informed --seeds 0 1 2 3 4 --out benchmarks/results/drift-informed.json

Nothing is fitted here. The informed learner knows the world, the items and the moment of the change, all but the
tastes: these it learns from each user's events, those since the change alone after it, by the rule of Bayes. It
shows how fast anybody could be back who is not told the tastes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from _informed import Informed
from _simulated import TOP, chances, fit_world, fitted, keep, ours, replayed, stream_of

from dynmm import Recommender
from dynmm.assembly import alone, known_events, retrained_backbone
from dynmm.evaluation.ladder import FROZEN, STATIC, WHOLE
from dynmm.evaluation.replay import Stream
from dynmm.interactions.splits import SplitConfig, make_split
from dynmm.simulation import SuddenDrift, World, WorldConfig, simulate
from dynmm.system import Query, Rankings, System
from dynmm.types import Events, FloatArray

ORACLE, INFORMED = "oracle", "informed learner"
NIGHTLY, RETRAINED = "dynmm/nightly-counts", "backbone-retrained-1d"
COMPARISONS = ("item-knn", "online-item-knn", "session-knn", "recent-popularity-7d")
SYSTEMS = (WHOLE, STATIC, FROZEN, NIGHTLY, RETRAINED, *COMPARISONS)
WANTED, WINDOW, BLOCK = 0.9, 200, 250
#: A share that most systems had before the change: one bar for all, since a system that knew little is soon back there.
COMMON = 0.75
DAY_MS = 86_400_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--users", type=int, default=250)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--events", type=int, default=12_000)
    parser.add_argument("--at", type=float, default=0.83, help="when tastes change, as a share of the span")
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="by default all")
    parser.add_argument("--informed", action="store_true", help="the informed learner alone, without any fit")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one override; repeatable")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    config = world_config(arguments.users, arguments.items, arguments.events, arguments.at)
    seen: list[Seen] = []
    for seed in arguments.seeds:
        if arguments.informed:
            seen.append(measure_informed(config, seed))
        else:
            seen.append(measure(config, seed, arguments.set, arguments.system or SYSTEMS))
        result = summary(seen)
        print_table(result)
        keep(arguments.out, arguments.seeds[: len(seen)], arguments.set, config, result)


def world_config(users: int, items: int, events: int, at: float) -> WorldConfig:
    """Single-minded users who take things again: what is hard is to notice that they have changed."""
    return WorldConfig(
        users=users,
        items=items,
        events=events,
        repeats=True,
        new_items=0.05,
        taste_focus=0.1,
        sequence=0.2,
        drift=SuddenDrift(at=at, share=1.0),
    )


@dataclass(frozen=True, eq=False)
class Seen:
    """One world. changed: events of the stream before tastes change. hits, expected: (N,) by system."""

    seed: int
    fitted_on: int
    changed: int
    hits: dict[str, FloatArray] = field(default_factory=dict)
    expected: dict[str, FloatArray] = field(default_factory=dict)
    update_seconds: dict[str, float] = field(default_factory=dict)


class NightlyCounts:
    """Counts advance once a day; nothing else is learned."""

    name = NIGHTLY

    def __init__(self, inner: System) -> None:
        self._inner = inner
        self._waiting: list[Events] = []
        self.quiet_until: int | None = None

    def fit(self, dataset: Any) -> None:
        self._inner.fit(dataset)

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        return self._inner.rank(queries, k)

    def learn(self, events: Events) -> None:
        assert events.timestamps is not None
        now = int(events.timestamps[-1])
        self._waiting.append(events)
        if self.quiet_until is None:
            self.quiet_until = (now // DAY_MS + 1) * DAY_MS
        if now >= self.quiet_until:
            for one in self._waiting:
                self._inner.learn(one)
            self._waiting, self.quiet_until = [], (now // DAY_MS + 1) * DAY_MS


def measure(config: WorldConfig, seed: int, assignments: Sequence[str], names: Sequence[str]) -> Seen:
    """Every system through one world."""
    world = simulate(config, seed)
    recommender = fit_world(world, assignments, seed)
    stream = stream_of(recommender)
    seen = _seen(world, stream)
    truth = _add_known(seen, world, stream)
    rows = np.arange(len(truth))[:, None]
    for name in names:
        outcome, lists = replayed(name, _systems(recommender, stream)[name](), stream)
        seen.hits[name] = outcome.values["hit@10"]
        seen.expected[name] = np.where(lists >= 0, truth[rows, lists], 0.0).sum(axis=1)
        seen.update_seconds[name] = outcome.update_seconds
    return seen


def measure_informed(config: WorldConfig, seed: int) -> Seen:
    """The oracle and the informed learner through one world."""
    world = simulate(config, seed)
    split = make_split(world.dataset(), SplitConfig(name="stream"), seed)
    assert split.stream is not None
    stream = Stream.of(known_events(split), split.stream, window="1h")
    seen = _seen(world, stream)
    _add_known(seen, world, stream)
    return seen


def _seen(world: World, stream: Stream) -> Seen:
    drift = world.config.drift
    assert isinstance(drift, SuddenDrift)
    changed = int(np.searchsorted(stream.times, world.moment_ms(drift.at)))
    assert WINDOW <= changed < len(stream.events) - WINDOW, "tastes change within the stream: choose another --at"
    return Seen(world.seed, len(stream.base.events), changed)


def _add_known(seen: Seen, world: World, stream: Stream) -> FloatArray:
    """(N, I) the truth. Equal chances count against the oracle, as against everybody."""
    truth, items = chances(world, stream), stream.events.items
    rows = np.arange(len(truth))
    seen.hits[ORACLE] = ((truth >= truth[rows, items][:, None]).sum(axis=1) <= TOP).astype(np.float64)
    seen.expected[ORACLE] = np.sort(truth, axis=1)[:, -TOP:].sum(axis=1)
    lists = Informed(world, stream.base).lists(stream, seen.changed)
    seen.hits[INFORMED] = (lists == items[:, None]).any(axis=1).astype(np.float64)
    seen.expected[INFORMED] = truth[rows[:, None], lists].sum(axis=1)
    return truth


def _systems(recommender: Recommender, stream: Stream) -> dict[str, Callable[[], System]]:
    split = recommender.split
    assert split is not None
    more: dict[str, Callable[[], System]] = {
        NIGHTLY: lambda: NightlyCounts(alone(recommender)),
        RETRAINED: lambda: retrained_backbone(recommender, split, RETRAINED, 1.0),
    }
    return ours(recommender) | more | {name: lambda name=name: fitted(name, stream) for name in COMPARISONS}


def summary(seen: Sequence[Seen]) -> dict[str, Any]:
    """What became of each system, by what was taken and by what was to be expected."""
    names = list(seen[0].hits)
    told: dict[str, Any] = {
        "fitted_on_events": [one.fitted_on for one in seen],
        "stream_events": [len(one.hits[ORACLE]) for one in seen],
        "events_before_change": [one.changed for one in seen],
        "window": WINDOW,
        "wanted": WANTED,
        "common": COMMON,
        "block": BLOCK,
    }
    for kind in ("hits", "expected"):
        told[kind] = {name: _readings(seen, kind, name) for name in names}
        for reading in ("to_oracle", "to_own"):
            told[kind][f"{reading}, share of {RETRAINED}"] = _ratios(told[kind], reading)
    told["update_seconds"] = {
        name: float(np.mean([one.update_seconds[name] for one in seen])) for name in seen[0].update_seconds
    }
    return told


def _readings(seen: Sequence[Seen], kind: str, name: str) -> dict[str, Any]:
    pairs = [(getattr(one, kind)[name], getattr(one, kind)[ORACLE], one.changed) for one in seen]
    own = sum(float(one[:changed].sum()) for one, _, changed in pairs)
    before = own / sum(float(one[:changed].sum()) for _, one, changed in pairs)
    least = min(len(ours) - changed for ours, _, changed in pairs)
    ours = np.sum([one[changed : changed + least] for one, _, changed in pairs], axis=0)
    theirs = np.sum([one[changed : changed + least] for _, one, changed in pairs], axis=0)
    shares = _sliding(ours) / _sliding(theirs)
    each = [_sliding(one[changed:]) / _sliding(two[changed:]) for one, two, changed in pairs]
    blocks = [_ratio(ours[at : at + BLOCK], theirs[at : at + BLOCK]) for at in range(0, least - BLOCK + 1, BLOCK)]
    return {
        "before": {"hr@10": own / sum(changed for _, _, changed in pairs), "share": before},
        "lowest": {"share": float(shares.min()), "after": int(shares.argmin()) + WINDOW},
        "best": {"share": float(shares.max()), "after": int(shares.argmax()) + WINDOW},
        "last_1000": {"hr@10": float(ours[-1000:].mean() / len(pairs)), "share": _ratio(ours[-1000:], theirs[-1000:])},
        "to_oracle": {"events": _reached(shares, WANTED), "by_seed": [_reached(one, WANTED) for one in each]},
        "to_own": {
            "events": _reached(shares, WANTED * before),
            "by_seed": [_reached(one, WANTED * before) for one in each],
        },
        "events_after_change": least,
        "blocks": blocks,
        "to_common": blocks_to(blocks, COMMON),
    }


def blocks_to(blocks: Sequence[float], wanted: float) -> int | None:
    """Events since the change at the end of the first block that reaches it; None for never."""
    return next((BLOCK * (place + 1) for place, share in enumerate(blocks) if share >= wanted), None)


def _sliding(values: FloatArray) -> FloatArray:
    """Sums of the last `WINDOW` values, from the first full window on."""
    totals = np.cumsum(np.concatenate([[0.0], values]))
    return np.asarray(totals[WINDOW:] - totals[:-WINDOW])


def _reached(shares: FloatArray, wanted: float) -> int | None:
    """Events since the change at the end of the first window that reaches it; None for never."""
    rows = np.flatnonzero(shares >= wanted)
    return int(rows[0]) + WINDOW if len(rows) else None


def _ratio(ours: FloatArray, theirs: FloatArray) -> float:
    return float(ours.sum() / theirs.sum())


def _ratios(told: Mapping[str, Any], reading: str) -> dict[str, float | None]:
    """Events that each system needs, as a share of what the retrained backbone needs; None where either never does."""
    slow = told.get(RETRAINED, {}).get(reading, {}).get("events")
    found = {name: one[reading]["events"] for name, one in told.items() if reading in one and name != ORACLE}
    return {name: None if slow is None or events is None else events / slow for name, events in found.items()}


def print_table(result: Mapping[str, Any]) -> None:
    after = result["hits"][ORACLE]["events_after_change"]
    print(f"\n{len(result['stream_events'])} seeds, {after:,} events after the change, windows of {WINDOW}")
    for kind in ("hits", "expected"):
        print(f"{kind:22} HR@10  share  lowest    end   best  events to 90 % of the oracle's, of its own; to 75 %")
        for name, one in result[kind].items():
            if "before" not in one:
                continue
            shares = [one["before"]["share"], one["lowest"]["share"], one["last_1000"]["share"], one["best"]["share"]]
            events = [one[reading]["events"] or "never" for reading in ("to_oracle", "to_own")]
            events.append(one["to_common"] or "never")
            numbers = " ".join(f"{share:6.3f}" for share in shares)
            print(f"{name:22} {one['before']['hr@10']:.3f} {numbers}  {events[0]}, {events[1]}, {events[2]}")


if __name__ == "__main__":
    main()
