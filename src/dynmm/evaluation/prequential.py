"""Test, then learn: a system through a stream, in the order of time (Dawid 1984).

A system may say two things about itself, so that it can be asked in larger batches without any change to
what it answers. `learns_online` (bool, True if missing): False where `learn` does nothing. `quiet_until`
(int ms UTC or None): learning events before this moment changes no ranking, e.g. until a next refit is due.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dynmm.evaluation.metrics import CUTOFFS, Targets, metric_names, per_case
from dynmm.evaluation.ranking import CHUNK, DEPTH, Pool, measure
from dynmm.evaluation.replay import Replay, Stream
from dynmm.interactions.cases import Cases
from dynmm.system import Query, Rankings, System
from dynmm.types import BoolArray, FloatArray

#: So many events between two measurements of the time from an event to its effect, at least.
_PROBE_EVERY = 150

#: Called with (events done, events in all).
Progress = Callable[[int, int], None]


@dataclass(eq=False)
class Replayed:
    """One system's way through a stream.

    values: metric -> (N,) float64. update_seconds and rank_seconds: spent in `learn` and in `rank`.
    effect_seconds: sampled times from an event to a ranking that knows it: its `learn` plus one `rank`,
    without any wait for the end of a window. memory_mb: resident memory before and after, None where the
    system does not tell. retention: hit@10 on old cases before and after, (B,) each, where there are any.
    """

    values: dict[str, FloatArray] = field(default_factory=dict)
    update_seconds: float = 0.0
    rank_seconds: float = 0.0
    effect_seconds: list[float] = field(default_factory=list)
    memory_mb: tuple[float | None, float | None] = (None, None)
    retention: tuple[FloatArray, FloatArray] | None = None


def replay(
    system: System,
    stream: Stream,
    *,
    retention: Cases | None = None,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> Replayed:
    """Every event scored by what was known just before its step, then learned.

    system: fitted on `stream.base`. retention: cases from before the stream, asked at its start and again at
    its end, which shows what adaptation forgets.
    """
    outcome = Replayed(memory_mb=(resident_mb(), None))
    before = None if retention is None else _old_hits(system, stream, retention)
    record, judge = Replay(stream), _Judge(stream, chunk)
    learns = bool(getattr(system, "learns_online", True))
    next_probe = 0
    for start, stop in _batches(system, stream, learns, chunk):
        queries = _questions(record, stream, start, stop)
        rows = slice(int(stream.bounds[start]), int(stream.bounds[stop]))
        began = time.perf_counter()
        for part in range(0, len(queries), chunk):
            asked = queries[part : part + chunk]
            judge.take(asked, system.rank(asked, DEPTH))
        learning = time.perf_counter()
        if learns:
            system.learn(stream.events.take(rows))
        done = time.perf_counter()
        outcome.rank_seconds += learning - began
        outcome.update_seconds += done - learning
        if rows.stop >= next_probe:
            next_probe = rows.stop + _PROBE_EVERY
            outcome.effect_seconds.append(done - learning + _seconds_to_rank(system, record, stream, rows.stop - 1))
        if progress is not None:
            progress(rows.stop, len(stream.events))
    outcome.values = judge.values()
    if before is not None and retention is not None:
        outcome.retention = before, _old_hits(system, stream, retention) if learns else before
    outcome.memory_mb = (outcome.memory_mb[0], resident_mb())
    return outcome


def _batches(system: System, stream: Stream, learns: bool, chunk: int) -> Iterator[tuple[int, int]]:
    """Runs of steps (from, to) within which learning changes nothing; one step each where it might."""
    bounds, times = stream.bounds, stream.times
    start, n_steps = 0, len(bounds) - 1
    while start < n_steps:
        quiet = getattr(system, "quiet_until", None) if learns else None
        stop = start + 1
        while stop < n_steps and bounds[stop + 1] - bounds[start] <= chunk:
            if learns and (quiet is None or times[bounds[stop] - 1] >= quiet):
                break
            stop += 1
        yield start, stop
        start = stop


def _questions(record: Replay, stream: Stream, start: int, stop: int) -> list[Query]:
    """The queries of steps start to stop, each made before the record advances over its own step."""
    queries = []
    for step in range(start, stop):
        events = stream.events.take(slice(int(stream.bounds[step]), int(stream.bounds[step + 1])))
        assert events.timestamps is not None
        users, moments = events.users.tolist(), events.timestamps.tolist()
        queries += [record.query(user, moment) for user, moment in zip(users, moments, strict=True)]
        record.advance(events)
    return queries


def _seconds_to_rank(system: System, record: Replay, stream: Stream, row: int) -> float:
    query = record.query(int(stream.events.users[row]), int(stream.times[row]))
    began = time.perf_counter()
    system.rank([query], 10)
    return time.perf_counter() - began


def _old_hits(system: System, stream: Stream, cases: Cases) -> FloatArray:
    pool = Pool(stream.base.n_items, exclude_history=stream.exclude_history)
    return measure(system, cases, pool, cutoffs=(10,))["hit@10"]


class _Judge:
    """Collects lists until there are enough of them to be worth measuring, in the order of the events."""

    def __init__(self, stream: Stream, chunk: int) -> None:
        self._items = stream.events.items
        self._pool = Pool(stream.base.n_items)
        self._chunk = chunk
        self._waiting: list[Rankings] = []
        self._complete: list[BoolArray] = []
        self._measured: list[dict[str, FloatArray]] = []
        self._from = self._to = 0

    def take(self, queries: list[Query], rankings: Rankings) -> None:
        self._waiting.append(rankings)
        self._complete.append(self._pool.complete(queries, DEPTH))
        self._to += len(queries)
        if self._to - self._from >= self._chunk:
            self._measure()

    def values(self) -> dict[str, FloatArray]:
        if self._waiting:
            self._measure()
        return {name: np.concatenate([part[name] for part in self._measured]) for name in metric_names(CUTOFFS)}

    def _measure(self) -> None:
        items = np.concatenate([one.items for one in self._waiting])
        scores = np.concatenate([one.scores for one in self._waiting])
        wanted = self._items[self._from : self._to]
        targets = Targets.of(wanted, np.arange(len(wanted) + 1))
        self._measured.append(per_case(Rankings(items, scores), targets, complete=np.concatenate(self._complete)))
        self._waiting, self._complete, self._from = [], [], self._to


def resident_mb() -> float | None:
    """Resident memory of this process in MiB, None where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next((line for line in status.read_text().splitlines() if line.startswith("VmRSS:")), None)
    return None if line is None else int(line.split()[1]) / 1024.0
