"""How long full-catalogue evaluation takes once user vectors are there, part by part.

Random vectors stand for a fitted model: 20,000 users, 12,000 items, width 256, histories of 10 events. Writes
results/evaluation_speed.json.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from dynmm.evaluation.metrics import Targets, per_case
from dynmm.evaluation.ranking import DEPTH, Pool, measure
from dynmm.interactions.cases import Cases
from dynmm.system import Query, Rankings
from dynmm.topk import PRODUCT_BLOCK_BYTES, best, mask, rank_by_vectors
from dynmm.types import Events

RESULT = Path(__file__).parent / "results" / "evaluation_speed.json"
LIMIT_SECONDS = 3.0


class Vectors:
    """Ranks by the product of user and item vectors; queries come in the order of the users."""

    name = "vectors"
    learns_online = False

    def __init__(self, users: torch.Tensor, items: torch.Tensor) -> None:
        self._users, self._items = users, items
        self.at = 0

    def fit(self, dataset: object) -> None: ...

    def learn(self, events: Events) -> None: ...

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        users = self._users[self.at : self.at + len(queries)]
        self.at += len(queries)
        return rank_by_vectors(users, self._items, queries, k)


def random_cases(n_users: int, n_items: int, length: int) -> Cases:
    rng = np.random.default_rng(0)
    return Cases(
        np.arange(n_users, dtype=np.int32),
        rng.integers(0, n_items, n_users * length).astype(np.int32),
        np.arange(0, n_users * length + 1, length),
        rng.integers(0, n_items, n_users).astype(np.int32),
        np.arange(n_users + 1),
    )


def fastest(work: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of the fastest of some runs: the machine's noise only ever adds."""
    seconds = []
    for _ in range(repeats):
        began = clock()
        work()
        seconds.append(clock() - began)
    return min(seconds)


def parts(users: torch.Tensor, items: torch.Tensor, cases: Cases, repeats: int) -> dict[str, float]:
    """Seconds of each part alone, over all users; those of one block are scaled up."""
    pool = Pool(len(items))
    queries = [pool.query(cases, case) for case in range(len(cases))]
    rows = PRODUCT_BLOCK_BYTES // (4 * len(items))
    blocks = len(cases) / rows
    scores = users[:rows] @ items.T
    rankings = Vectors(users, items).rank(queries, DEPTH)
    targets = Targets.of(cases.target_items, cases.target_offsets)
    return {
        "queries": fastest(lambda: [pool.query(cases, case) for case in range(len(cases))], repeats),
        "product": fastest(lambda: torch.mm(users[:rows], items.T, out=scores), repeats) * blocks,
        "mask": fastest(lambda: mask(scores, queries[:rows]), repeats) * blocks,
        "top": fastest(lambda: best(scores, DEPTH), repeats) * blocks,
        "metrics": fastest(lambda: per_case(rankings, targets, complete=pool.complete(queries, DEPTH)), repeats),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=12_000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    torch.manual_seed(0)
    users, items = torch.randn(args.users, args.width), torch.randn(args.items, args.width)
    system = Vectors(users, items)
    cases = random_cases(args.users, args.items, 10)

    def whole() -> None:
        system.at = 0
        measure(system, cases, Pool(args.items))

    load = os.getloadavg()[0]
    seconds, processor = fastest(whole, args.repeats), fastest(whole, args.repeats, time.process_time)
    told = {
        "users": args.users,
        "items": args.items,
        "width": args.width,
        "depth": DEPTH,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load_before": round(load, 2),
        "seconds": round(seconds, 3),
        "processor_seconds": round(processor, 3),
        "limit_seconds": LIMIT_SECONDS,
        "ratio_to_limit": round(seconds / LIMIT_SECONDS, 3),
        "users_per_second": round(args.users / seconds),
        "parts_seconds": {name: round(value, 3) for name, value in parts(users, items, cases, args.repeats).items()},
    }
    print(json.dumps(told, indent=1))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
