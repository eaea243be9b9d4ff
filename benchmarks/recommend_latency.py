"""One user, one request: `Recommender.recommend` from a loaded artefact at 12,000 items, width 256.

    python benchmarks/recommend_latency.py --out benchmarks/results/recommend_latency.json

The backbone is fitted for one epoch: latency does not depend on how well it was fitted. Histories are 50
events long. The aim is a p50 under 5 ms on 2 cores.
"""

from __future__ import annotations

import argparse
import datetime
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch

from dynmm import Dataset, Recommender
from dynmm.assembly import FitOptions
from dynmm.randomness import generator
from dynmm.storage import write_json

ITEMS, USERS, LENGTH = 12_000, 600, 52


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        recommender = _loaded(Path(place), arguments.device)
        times = _times(recommender, arguments.requests)
    low, middle, high = np.percentile(times, [5, 50, 95])
    result = {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "items": ITEMS,
        "requests": arguments.requests,
        "milliseconds": {"p5": low, "p50": middle, "p95": high},
        "aim_p50": 5.0,
    }
    print(f"recommend, {ITEMS:,} items: p50 {middle:.2f} ms, p95 {high:.2f} ms (aim: p50 under 5 ms)")
    if arguments.out is not None:
        write_json(arguments.out, result)


def _loaded(place: Path, device: str) -> Recommender:
    random = generator(0, "recommend latency")
    items = np.concatenate([np.arange(ITEMS), random.integers(0, ITEMS, USERS * LENGTH - ITEMS)])
    frame = pl.DataFrame(
        {
            "user_id": np.repeat(np.arange(USERS), LENGTH).astype(str),
            "item_id": random.permutation(items).astype(str),
            "position": np.tile(np.arange(LENGTH, dtype=np.int32), USERS),
        }
    )
    options = FitOptions(device=device, cache=place / "cache")
    Recommender.fit(Dataset.from_frames(frame), {"backbone": {"epochs": 1}}, options=options).save_pretrained(
        place / "run"
    )
    return Recommender.from_pretrained(place / "run", device=device)


def _times(recommender: Recommender, requests: int) -> list[float]:
    users = [str(user % USERS) for user in range(requests + 20)]
    taken = []
    for user in users:
        began = time.perf_counter()
        recommender.recommend(user, 10)
        taken.append(1_000 * (time.perf_counter() - began))
    return taken[20:]


if __name__ == "__main__":
    main()
