"""What it costs to learn an event, for catalogues of 100,000, 300,000 and a million items with the same activity.

    python benchmarks/update_cost.py --out benchmarks/results/update_cost.json

Each catalogue is fitted and asked in a process of its own: 4,000 users have taken 2,000 items, which lie evenly over
the catalogue, and the same users go on to take the same items. One epoch, width 64; items are known by interactions
alone, so there is no joint stage, and no re-ranker. The rest is as shipped: the log on the disk, histories, counts of
every kind of evidence, the adapter, and from 50,000 items on the quantised index. Two shares of the events teach the
adapter: all of them, as shipped, and one in a thousand. The cost is time of the processor: `learn` with a batch of so
many events, divided by the events; the median over the batches and the 95th percentile. `flat` is the median at the
largest catalogue as a multiple of that at the smallest. With --profile FILE the calls are profiled, at one share.
"""

from __future__ import annotations

import argparse
import cProfile
import datetime
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from dynmm import Dataset, DatasetInfo, Recommender
from dynmm.assembly import FitOptions
from dynmm.assembly.whole import whole_of
from dynmm.storage import write_json

SIZES, SHARES = (100_000, 300_000, 1_000_000), (1.0, 0.001)
USERS, ACTIVE, EVENTS_OF_USER, BATCH = 4_000, 2_000, 10, 256
#: Batches that are learned before any is timed, and events that are timed, by the share that teaches the adapter.
WARM, TIMED = 5, {1.0: 1_024, 0.001: 10_240}
_START = 1_700_000_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--share", type=float, nargs="+", default=list(SHARES))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--profile", type=Path, help="where the profile of the largest catalogue is written")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.child is not None:
        found = {
            str(share): _measure(arguments.child, arguments.items[0], share, arguments.profile)
            for share in arguments.share
        }
        print(json.dumps(found | {"peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
        return
    result: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "users": USERS,
        "active_items": ACTIVE,
        "batch": BATCH,
        "sizes": {str(items): _in_a_process(items, arguments) for items in arguments.items},
    }
    result["flat"] = {str(share): _flat(result["sizes"], str(share)) for share in arguments.share}
    _tell(result, [str(share) for share in arguments.share])
    if arguments.out is not None:
        write_json(arguments.out, result)


def _in_a_process(items: int, arguments: argparse.Namespace) -> dict[str, Any]:
    shares = [str(share) for share in arguments.share]
    with tempfile.TemporaryDirectory(prefix="dynmm-update-") as folder:
        command = [sys.executable, __file__, "--child", folder, "--items", str(items), "--share", *shares]
        if arguments.profile is not None and items == max(arguments.items):
            command += ["--profile", str(arguments.profile)]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    print(items, found, flush=True)
    return found


def _measure(folder: Path, items: int, share: float, profile: Path | None) -> dict[str, Any]:
    """Fit, open, learn. The second share reads the stages of the first from the cache."""
    run = folder / f"run-{share}"
    config = {
        "backbone": {"width": 64, "inner": 64, "epochs": 1, "loss": "sampled"},
        "rerank": "none",
        "adapter": {"share": share},
    }
    options = FitOptions(cache=folder / "cache")
    begun = time.process_time()
    Recommender.fit(_data(items), config, split="none", options=options).save_pretrained(run)
    fitted = time.process_time() - begun
    costs: list[float] = []
    with Recommender.from_pretrained(run) as recommender:
        for number in range(WARM):
            recommender.learn(_rows(number, items))
        profiler = cProfile.Profile()
        if profile is not None:
            profiler.enable()
        for number in range(WARM, WARM + TIMED[share] // BATCH):
            rows = _rows(number, items)
            spent = time.process_time()
            recommender.learn(rows)
            costs.append(1e6 * (time.process_time() - spent) / BATCH)
        profiler.disable()
        if profile is not None:
            profiler.dump_stats(profile)
        moving = whole_of(recommender).moving
        assert moving is not None, "the adapter is on"
        adapter = moving.adapter
        return {
            "events": TIMED[share],
            "microseconds_an_event": {
                "median": round(float(np.median(costs)), 1),
                "p95": round(float(np.percentile(costs, 95)), 1),
                "mean": round(float(np.mean(costs)), 1),
            },
            "taught": adapter.learned,
            "windows": adapter.windows.ended,
            "version": adapter.version,
            "hot_items": len(adapter.summaries.hot()),
            "fit_processor_seconds": round(fitted, 1),
        }


def _data(items: int) -> Dataset:
    draws, count = np.random.default_rng(0), USERS * EVENTS_OF_USER
    order = np.argsort(draws.random((USERS, ACTIVE)), axis=1)[:, :EVENTS_OF_USER]
    events = {
        "user_id": [f"u{user:05d}" for user in np.repeat(np.arange(USERS), EVENTS_OF_USER)],
        "item_id": [_item(int(one), items) for one in order.ravel()],
        "timestamp": _START - 60_000 * np.arange(count, 0, -1),
    }
    catalogue = {"item_id": [f"i{item:07d}" for item in range(items)]}
    info = DatasetInfo("catalogue", "item", "took", "second")
    return Dataset.from_frames(pl.DataFrame(events), pl.DataFrame(catalogue), info=info)


def _item(active: int, items: int) -> str:
    return f"i{active * (items // ACTIVE):07d}"


def _rows(number: int, items: int) -> dict[str, Any]:
    draws, first = np.random.default_rng(number), number * BATCH
    return {
        "event_id": [f"e{one}" for one in range(first, first + BATCH)],
        "user_id": [f"u{user:05d}" for user in draws.integers(0, USERS, BATCH)],
        "item_id": [_item(int(one), items) for one in draws.integers(0, ACTIVE, BATCH)],
        "timestamp": [_START + 100 * one for one in range(first, first + BATCH)],
    }


def _flat(sizes: dict[str, Any], share: str) -> dict[str, float]:
    smallest, largest = (sizes[str(size)][share]["microseconds_an_event"] for size in _ends(sizes))
    return {name: round(largest[name] / smallest[name], 3) for name in smallest}


def _ends(sizes: dict[str, Any]) -> tuple[int, int]:
    numbers = [int(size) for size in sizes]
    return min(numbers), max(numbers)


def _tell(result: dict[str, Any], shares: list[str]) -> None:
    print("items | share that teaches | microseconds an event, median | p95 | mean")
    for size, found in result["sizes"].items():
        for share in shares:
            cost = found[share]["microseconds_an_event"]
            print(f"{int(size):,} | {share} | {cost['median']} | {cost['p95']} | {cost['mean']}")
    for share in shares:
        print(f"flat at share {share}: {result['flat'][share]}")


if __name__ == "__main__":
    main()
