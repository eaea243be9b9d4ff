"""Learning while serving: events a second that are durable and counted, and the wait from an event to its effect.

    python benchmarks/online_speed.py --events 20000 --rate 1000 --seconds 30 --out benchmarks/results/online_speed.json

A small simulated world is fitted once. Then more of the same world's events are learned in batches: written to the log
of the run, durably, counted in every statistic, and a seeded share of them taught to the adapter. The wait is from the
call of `learn` with one event to the end of a `recommend` that knows it. A replay of the log gives the same state.

With --rate events come at fixed moments, whether the learner is ready or not. Whatever has come is learned as one
micro-batch. Of each batch one event, drawn evenly, is followed: its user's list is asked for before the batch and after
it. Told are the waits of these events from their arrival until `learn` has returned (durable and counted:
acknowledged), from there until the list that knows it is there, and both together; and how many lists had changed, in
items or scores.
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from dynmm import Dataset, DatasetInfo, Recommender
from dynmm.assembly import FitOptions
from dynmm.assembly.snapshotting import live_sha256
from dynmm.storage import write_json
from dynmm.testing.data import dataset_of

_START = 1_700_000_000_000
_USERS, _ITEMS, _BATCH = 2_000, 1_000, 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--waits", type=int, default=200, help="single events whose way to their effect is timed")
    parser.add_argument("--share", type=float, default=0.001, help="of the events that teach the adapter")
    parser.add_argument("--rate", type=float, default=0.0, help="events that come in a second; 0: not measured")
    parser.add_argument("--seconds", type=float, default=60.0, help="for which they come at that rate")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dynmm-online-") as folder:
        run = Path(folder) / "run"
        _fit(Path(folder), arguments.share).save_pretrained(run)
        result: dict[str, Any] = {
            "date": datetime.date.today().isoformat(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
        }
        result |= {"users": _USERS, "items": _ITEMS, "share": arguments.share}
        result |= _learn(run, arguments.events, arguments.waits)
        if arguments.rate:
            first = _BATCH + arguments.events + arguments.waits
            result["at_a_rate"] = _at_a_rate(run, first, arguments.rate, arguments.seconds)
    for name, value in result.items():
        print(f"{name}: {value}")
    if arguments.out is not None:
        write_json(arguments.out, result)


def _fit(folder: Path, share: float) -> Recommender:
    draws = np.random.default_rng(0)
    histories = [draws.permutation(_ITEMS)[:8].tolist() for _ in range(_USERS)]
    data: Dataset = dataset_of(histories, n_items=_ITEMS, titles=True)
    assert isinstance(data.info, DatasetInfo)
    config = {
        "backbone": {"width": 64, "inner": 64, "epochs": 2},
        "encoders": {"text": "hashed-words"},
        "rerank": "none",
        "adapter": {"share": share},
    }
    return Recommender.fit(data, config, split="none", options=FitOptions(cache=folder / "cache"))


def _rows(start: int, count: int) -> dict[str, Any]:
    draws = np.random.default_rng(start)
    return {
        "event_id": [f"e{n}" for n in range(start, start + count)],
        "user_id": [f"u{user:05d}" for user in draws.integers(0, 2 * _USERS, count)],
        "item_id": [f"i{item:05d}" for item in draws.integers(0, _ITEMS, count)],
        "timestamp": [_START + 100 * n for n in range(start, start + count)],
    }


def _learn(run: Path, events: int, waits: int) -> dict[str, Any]:
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(_rows(0, _BATCH))
        began, spent = time.perf_counter(), time.process_time()
        for start in range(_BATCH, _BATCH + events, _BATCH):
            recommender.learn(_rows(start, _BATCH))
        seconds, processor = time.perf_counter() - began, time.process_time() - spent
        effects = []
        for start in range(_BATCH + events, _BATCH + events + waits):
            row = _rows(start, 1)
            called = time.perf_counter()
            recommender.learn(row)
            recommender.recommend(row["user_id"][0], 10)
            effects.append(time.perf_counter() - called)
        state = live_sha256(recommender)
    opened = time.perf_counter()
    again = Recommender.from_pretrained(run)
    reopened = time.perf_counter() - opened
    return {
        "events": events,
        "events_per_second": round(events / seconds, 1),
        "events_per_processor_second": round(events / processor, 1),
        "event_to_effect_ms": _percentiles(effects),
        "opened_again_seconds": round(reopened, 2),
        "same_state": live_sha256(again) == state,
    }


def _at_a_rate(run: Path, first: int, rate: float, seconds: float) -> dict[str, Any]:
    """Events that come at fixed moments. first: number of the first of them."""
    count, done, draws = int(rate * seconds), 0, np.random.default_rng(0)
    rows = _rows(first, count)
    acknowledged: list[float] = []
    effects: list[float] = []
    sizes: list[int] = []
    changed = 0
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(_rows(first - 1, 1))
        spent, begun = time.process_time(), time.perf_counter()
        while done < count:
            come = min(count, int((time.perf_counter() - begun) * rate) + 1)
            if come == done:
                time.sleep(max(0.0, begun + done / rate - time.perf_counter()))
                continue
            followed = int(draws.integers(done, come))
            user, arrived = rows["user_id"][followed], begun + followed / rate
            before = recommender.recommend(user, 10) if user in recommender.users else []
            recommender.learn({name: values[done:come] for name, values in rows.items()})
            learned = time.perf_counter()
            changed += recommender.recommend(user, 10) != before
            effects.append(time.perf_counter() - learned)
            acknowledged.append(learned - arrived)
            sizes.append(come - done)
            done = come
        took, spent = time.perf_counter() - begun, time.process_time() - spent
    return {
        "events_per_second": rate,
        "events": count,
        "learned_per_second": round(count / took, 1),
        "behind_at_the_end_seconds": round(took - (count - 1) / rate, 3),
        "processor_share": round(spent / took, 3),
        "batches": len(sizes),
        "events_in_a_batch": {"median": statistics.median(sizes), "most": max(sizes)},
        "lists_changed": changed,
        "arrival_to_acknowledged_ms": _percentiles(acknowledged),
        "acknowledged_to_effect_ms": _percentiles(effects),
        "arrival_to_effect_ms": _percentiles([one + two for one, two in zip(acknowledged, effects, strict=True)]),
    }


def _percentiles(seconds: list[float]) -> dict[str, float]:
    """In milliseconds."""
    ranked = sorted(seconds)
    return {
        "p50": round(1000 * statistics.median(ranked), 2),
        "p99": round(1000 * ranked[int(0.99 * (len(ranked) - 1))], 2),
        "max": round(1000 * ranked[-1], 2),
    }


if __name__ == "__main__":
    main()
