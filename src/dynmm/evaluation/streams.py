"""Systems through a stream, and the outcome: over events, averaged over users, per window, and what it cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.evaluation.comparisons import COMPARED, compare
from dynmm.evaluation.ladder import pairs
from dynmm.evaluation.old_cases import old_cases
from dynmm.evaluation.prequential import Replayed, replay
from dynmm.evaluation.ranking import CHUNK, DEPTH
from dynmm.evaluation.replay import Stream
from dynmm.evaluation.results import apart_json
from dynmm.evaluation.scores import Resampling, SystemScores, Users, intervals, json_ready, summary
from dynmm.interactions.cases import Cases
from dynmm.system import System
from dynmm.types import FloatArray, IntArray

#: Windows can be tiny, so curves are also given over this many parts with equally many events.
BLOCKS = 20

#: Called with (system, seed number, events done, events in all).
Progress = Callable[[str, int, int, int], None]

#: Called with (system, seed number, what replays it): gives that replay, or one of before.
Replaying = Callable[[str, int, Callable[[], Replayed]], Replayed]


@dataclass(frozen=True, eq=False)
class StreamEvaluation:
    """What every system scored on the events of a stream. replays: name -> one replay per seed."""

    stream: Stream
    data_sha256: str
    replays: Mapping[str, Sequence[Replayed]]
    retention_users: IntArray | None = None
    how: Resampling = field(default_factory=Resampling)

    @property
    def systems(self) -> list[SystemScores]:
        return [SystemScores.of_seeds(name, [one.values for one in runs]) for name, runs in self.replays.items()]

    def to_json(self) -> dict[str, Any]:
        """The shape of `evaluate`, over events, with `windows` and `update_seconds` and what else a stream has.

        `systems` and `comparisons` are over events, with intervals that keep a user's events together;
        `systems_by_user` and `comparisons_by_user` give every user the same weight, however active.
        """
        stream, systems = self.stream, self.systems
        users = self.stream.events.users
        told: dict[str, Any] = {
            "protocol": f"stream/{stream.mode}",
            "data_sha256": self.data_sha256,
            "users": len(np.unique(users)),
            "cases": len(users),
            "depth": DEPTH,
            "resamples": self.how.resamples,
            "compared": list(COMPARED),
            "counts": self._counts(),
            "notes": self._notes(),
            "apart": apart_json(systems, users, stream.apart()),
            "windows": curve(systems, users, stream.windows, stream.spans),
            "blocks": self._blocks(systems),
            "update_seconds": self._costs("update_seconds"),
            "rank_seconds": self._costs("rank_seconds"),
            "event_to_effect_ms": {name: _percentiles(runs) for name, runs in self.replays.items()},
            "memory_mb": {name: list(runs[0].memory_mb) for name, runs in self.replays.items()},
            "retention": self._retention(),
            "old_cases": old_cases(systems, stream),
        }
        names = list(self.replays)
        for suffix, group in (("", Users(users)), ("_by_user", Users(users, "user"))):
            told[f"systems{suffix}"] = summary(systems, group, self.how)
            found = compare(systems, pairs(names), group, how=self.how)
            told[f"comparisons{suffix}"] = [one.to_json() for one in found]
        plain: dict[str, Any] = json_ready(told)
        return plain

    def _counts(self) -> dict[str, int]:
        apart = {name: int(rows.sum()) for name, rows in self.stream.apart().items()}
        return {"events": len(self.stream.events), "steps": len(self.stream.bounds) - 1, **apart}

    def _notes(self) -> list[str]:
        stream = self.stream
        left_out, share = "excluded" if stream.exclude_history else "not excluded", f"{stream.repeat_share:.2%}"
        return [
            "Events of one timestamp are scored together before any of them is learned."
            if stream.mode == "event"
            else "Nothing advances within a window: its events are scored together, then learned.",
            "Candidates: items that anybody had in training or earlier in the stream; any other target is a miss.",
            f"A user's history is {left_out}: {share} of the training events repeat an item of the user.",
            "Ties count against the model. Each event has one target, so Recall equals Hit.",
            f"Lists are {DEPTH} deep; MRR is zero where the target is not among them.",
            "Intervals are over users, whose events are resampled together; bands of windows likewise.",
            "Time to effect is learning plus one ranking, sampled, without waiting for the end of a window.",
        ]

    def _blocks(self, systems: Sequence[SystemScores]) -> list[dict[str, Any]]:
        n_events = len(self.stream.events)
        numbers = np.arange(n_events) * min(BLOCKS, n_events) // n_events
        firsts = np.flatnonzero(np.diff(numbers, prepend=-1))
        times = self.stream.times
        ends = np.append(times[firsts[1:]], times[-1] + 1)
        return curve(systems, self.stream.events.users, numbers, list(zip(times[firsts], ends, strict=True)))

    def _costs(self, what: str) -> dict[str, float]:
        return {name: float(np.mean([getattr(run, what) for run in runs])) for name, runs in self.replays.items()}

    def _retention(self) -> dict[str, Any]:
        told = {}
        for name, runs in self.replays.items():
            kept = [run.retention for run in runs if run.retention is not None]
            if not kept or self.retention_users is None:
                continue
            users = Users(self.retention_users)
            before, after = (np.mean([pair[side] for pair in kept], axis=0) for side in (0, 1))
            told[name] = {
                "hit@10 before": users.mean(before),
                "hit@10 after": users.mean(after),
                "ci95": list(intervals([after - before], users, self.how)[0]),
            }
        return told


def run_stream(
    stream: Stream,
    systems: Mapping[str, Iterable[System]],
    *,
    data_sha256: str = "",
    retention: Cases | None = None,
    how: Resampling | None = None,
    chunk: int = CHUNK,
    progress: Progress | None = None,
    replaying: Replaying | None = None,
) -> StreamEvaluation:
    """Every system, fitted on `stream.base`, through the stream; one after another, so that none sees more.

    systems: name in the tables -> the system once per seed; the iterables are walked one system at a time.
    The systems learn, so each is worn out by it. retention: old cases to ask before and after. replaying: may keep
    replays, and give one that it has kept.
    """
    old = retention if retention is not None and len(retention) else None
    replays: dict[str, list[Replayed]] = {}
    for name, seeds in systems.items():
        replays[name] = []
        for number, system in enumerate(seeds):
            told = None if progress is None else _told(progress, name, number)
            through = partial(replay, system, stream, retention=old, chunk=chunk, progress=told)
            replays[name].append(through() if replaying is None else replaying(name, number, through))
    return StreamEvaluation(stream, data_sha256, replays, None if old is None else old.users, how or Resampling())


def _told(progress: Progress, name: str, number: int) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, number, done, total)


def curve(
    systems: Sequence[SystemScores],
    users: IntArray,
    groups: NDArray[np.int64],
    spans: Sequence[tuple[int, int]],
) -> list[dict[str, Any]]:
    """Means of each group of events, with 95 % bands. groups: (N,) ascending, below len(spans)."""
    counts = np.bincount(groups, minlength=len(spans))
    owners = np.unique(np.stack([groups, users]), axis=1)
    n_users = np.bincount(owners[0], minlength=len(spans))
    rows: list[dict[str, Any]] = [
        {"start": int(start), "end": int(end), "events": int(counts[row]), "users": int(n_users[row]), "systems": {}}
        for row, (start, end) in enumerate(spans)
    ]
    for system in systems:
        for metric in (one for one in COMPARED if one in system.metrics):
            mean, low, high = _bands(system.averaged(metric), users, groups, len(spans))
            for row, told in enumerate(rows):
                band = [float(low[row]), float(high[row])]
                told["systems"].setdefault(system.name, {})[metric] = {"mean": float(mean[row]), "band": band}
    return rows


def _bands(
    values: FloatArray, users: IntArray, groups: NDArray[np.int64], n_groups: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean and normal 95 % band of each group, users as clusters; nan bands where a group has one user."""
    counts = np.bincount(groups, minlength=n_groups)
    mean = np.bincount(groups, weights=values, minlength=n_groups) / counts
    owners, of_event = np.unique(np.stack([groups, users]), axis=1, return_inverse=True)
    residuals = np.bincount(of_event.ravel(), weights=values - mean[groups])
    n_users = np.bincount(owners[0], minlength=n_groups)
    squares = np.bincount(owners[0], weights=residuals**2, minlength=n_groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(squares * n_users / (n_users - 1)) / counts
    error[n_users < 2] = np.nan
    return mean, mean - 1.96 * error, mean + 1.96 * error


def _percentiles(runs: Sequence[Replayed]) -> dict[str, float]:
    sampled = np.concatenate([run.effect_seconds for run in runs]) * 1_000.0
    middle, high = np.percentile(sampled, [50, 95])
    return {"p50": float(middle), "p95": float(high), "samples": len(sampled)}
