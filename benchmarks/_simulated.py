"""What the benchmarks on simulated streams share: a fit, lists that are kept, and the truth behind each question.

N events of the stream, I items, k ranks.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from dynmm import Recommender, baselines
from dynmm.assembly import FitOptions, Frozen, alone, fit, known_events, with_adapter
from dynmm.config import read_config
from dynmm.evaluation.ladder import FROZEN, STATIC, WHOLE
from dynmm.evaluation.prequential import Replayed, replay
from dynmm.evaluation.ranking import DEPTH
from dynmm.evaluation.replay import Replay, Stream
from dynmm.evaluation.scores import json_ready
from dynmm.simulation import World, WorldConfig
from dynmm.storage import write_json
from dynmm.system import Query, Rankings, System
from dynmm.types import Events

TOP = 10
#: Worlds tell of their items by words; re-rankers do not move with a stream.
SMALL = ("encoders.text=hashed-words", "rerank=none")


class Kept:
    """A system whose lists are kept in the order of the questions."""

    def __init__(self, inner: System) -> None:
        self._inner = inner
        self._lists: list[NDArray[np.int32]] = []

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def learns_online(self) -> bool:
        return bool(getattr(self._inner, "learns_online", True))

    @property
    def quiet_until(self) -> int | None:
        found: int | None = getattr(self._inner, "quiet_until", None)
        return found

    def fit(self, dataset: Any) -> None:
        self._inner.fit(dataset)

    def learn(self, events: Events) -> None:
        self._inner.learn(events)

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        found = self._inner.rank(queries, k)
        if k == DEPTH:  # the others are probes of the time that a list takes
            self._lists.append(found.items[:, :TOP])
        return found

    @property
    def lists(self) -> NDArray[np.int32]:
        """(N, 10) what was shown, padding behind the last candidate."""
        return np.concatenate(self._lists)


def fit_world(world: World, assignments: Sequence[str], seed: int) -> Recommender:
    """The shipped defaults on the world's first 70 %."""
    with tqdm(bar_format="{desc} {elapsed}") as bar:
        options = FitOptions(on_stage=lambda stage: bar.set_description(f"seed {seed}: {stage}"))
        config = read_config(None, [*SMALL, *assignments])
        return fit(world.dataset(), config, split="stream", seed=seed, options=options).recommender


def ours(recommender: Recommender) -> dict[str, Callable[[], System]]:
    """The whole walk, all but its adapter, and all of it standing still; each begins anew when it is called."""
    return {
        WHOLE: lambda: with_adapter(recommender, "1h"),
        STATIC: lambda: alone(recommender),
        FROZEN: lambda: Frozen(alone(recommender)),
    }


def keep(out: Path | None, seeds: list[int], assignments: Sequence[str], config: WorldConfig, result: Any) -> None:
    """Write what was found, with what it hangs on, where a file is wanted."""
    if out is not None:
        facts: dict[str, Any] = {"date": datetime.date.today().isoformat(), "torch": torch.__version__}
        facts |= {"seeds": seeds, "set": [*SMALL, *assignments]}
        write_json(out, json_ready(facts | {"world": config.model_dump(mode="json")} | result))


def stream_of(recommender: Recommender) -> Stream:
    """What comes after the fit, with windows of an hour."""
    split = recommender.split
    assert split is not None
    assert split.stream is not None
    return Stream.of(known_events(split), split.stream, window="1h")


def fitted(name: str, stream: Stream) -> System:
    """A comparison system that knows what came before the stream."""
    system = baselines.create(name)
    system.fit(stream.base)
    return system


def replayed(name: str, system: System, stream: Stream) -> tuple[Replayed, NDArray[np.int32]]:
    """Each question asked before its event is learned; and the (N, 10) lists."""
    kept = Kept(system)
    with tqdm(desc=name, unit="event", total=len(stream.events)) as bar:

        def told(done: int, _: int) -> None:
            bar.n = done
            bar.refresh()

        outcome = replay(kept, stream, progress=told)
    return outcome, kept.lists


def chances(world: World, stream: Stream) -> NDArray[np.float64]:
    """(N, I) how likely the honest user of each event takes each item, by the truth; 0 for what nobody had so far."""
    record, found = Replay(stream), []
    events = stream.events
    for row, (user, moment) in enumerate(zip(events.users.tolist(), stream.times.tolist(), strict=True)):
        query = record.query(user, moment)
        history = query.history.items
        previous = int(history[-1]) if len(history) else None
        told = world.probabilities(user, moment, previous=previous, seen=history.tolist())
        if query.candidates is not None:
            known = np.zeros(len(told), dtype=bool)
            known[query.candidates] = True
            told = np.where(known, told, 0.0)
        found.append(told)
        record.advance(events.take(slice(row, row + 1)))
    return np.stack(found)
