"""Thousands of rationales recomputed from the stores, and as many untrue ones held against them.

    python benchmarks/rationales.py --out benchmarks/results/rationales.json

For each data set: rationales of what is recommended to users, in both views. Every claim must recompute, and no name,
number or attribute may stand in a text that does not stand in the facts cited. Then truth-changing mutations of them
(name, number, id, attribute, direction), made by a generator that knows the stores and not the verifier: all must be
named. What is let through is printed. Nothing is trained anew: fits come from the stage cache where there are any.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dynmm import Dataset, Recommender
from dynmm.assembly import FitOptions, explained_items, fit, store_of, verified
from dynmm.config import read_config
from dynmm.randomness import generator
from dynmm.storage import write_json
from dynmm.system import Query
from dynmm.testing.folders import data_folders
from dynmm.testing.mutations import mutations
from dynmm.types import Rationale, Recommendation

DATA_SETS = ("amazon14-beauty", "ml-1m", "amazon18-office")
VIEWS = ("public", "operator")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", help="folder, or name of one under DYNMM_DATA; repeatable")
    parser.add_argument("--rationales", type=int, default=3_334, help="of each data set, half of them in each view")
    parser.add_argument("--mutations", type=int, default=3_334, help="of each data set")
    parser.add_argument("--depth", type=int, default=3, help="recommendations of a user")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one override; repeatable")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = {}
    for folder in data_folders(arguments.data or DATA_SETS):
        results[folder.name] = _measured(Dataset.load(folder), arguments)
        print(f"{folder.name}: {results[folder.name]}")
    if arguments.out is not None and results:
        write_json(arguments.out, {"date": datetime.date.today().isoformat(), "data": results})
    if any(one["do_not_recompute"] or one["not_caught"] for one in results.values()):
        sys.exit(1)


def _measured(data: Dataset, arguments: argparse.Namespace) -> dict[str, Any]:
    split = "full" if data.has_order else "holdout"
    options = FitOptions(arguments.device, on_stage=lambda stage: print(f"{data.info.name}: {stage}", file=sys.stderr))
    fits = {
        view: fit(
            data,
            read_config(None, [*arguments.set, f"rationale.view={view}"]),
            split=split,
            seed=arguments.seed,
            options=options,
        ).recommender
        for view in VIEWS
    }
    told: dict[str, list[Rationale]] = {}
    began = time.perf_counter()
    for view, recommender in fits.items():
        wanted = arguments.rationales // len(VIEWS)
        told[view] = [one for _, one in zip(range(wanted), _rationales(recommender, arguments), strict=False)]
    seconds = time.perf_counter() - began
    counts: Counter[str] = Counter()
    for view, rationales in told.items():
        for one in rationales:
            counts["abstain"] += one.abstains
            counts["claims"] += len(one.claims)
            problems = verified(fits[view], one.as_json()).problems
            counts["do_not_recompute"] += bool(problems)
            for problem in problems:
                print(f"NOT RECOMPUTED {view} {one.user} {one.item}: {problem.text}", file=sys.stderr)
    caught = _held_against(fits, told, arguments)
    return {
        "rationales": sum(map(len, told.values())),
        "abstain": counts["abstain"],
        "claims": counts["claims"],
        "do_not_recompute": counts["do_not_recompute"],
        "seconds_per_rationale": seconds / max(1, sum(map(len, told.values()))),
        **caught,
    }


def _rationales(recommender: Recommender, arguments: argparse.Namespace) -> Iterator[Rationale]:
    """Of what is recommended to users drawn by lot."""
    draws = generator(arguments.seed, "whose rationales")
    for user in draws.permutation(len(recommender.users)).tolist():
        name = recommender.users.decode(user)
        history = recommender.known.history(user)
        query = Query(history, recommender.now, exclude=np.unique(history.items))
        found = recommender.system.rank([query], arguments.depth)
        items = [
            Recommendation(recommender.items.decode(item), score)
            for item, score in zip(found.items[0].tolist(), found.scores[0].tolist(), strict=True)
            if item >= 0
        ]
        for one in explained_items(recommender, query, items, name, ()):
            assert one.rationale is not None
            yield one.rationale


def _held_against(
    fits: dict[str, Recommender], told: dict[str, list[Rationale]], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Mutations of the rationales, in both views, until there are as many as are asked for."""
    made: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    draws = generator(arguments.seed, "mutations")
    stores = {view: store_of(recommender) for view, recommender in fits.items()}
    for view, rationales in told.items():
        before, wanted = sum(made.values()), arguments.mutations // len(VIEWS)
        for one in rationales:
            if sum(made.values()) - before >= wanted:
                break
            recommender = fits[view]
            for untrue in mutations(one.as_json(), stores[view], recommender.items.ids, recommender.users.ids, draws):
                made[untrue.subject] += 1
                if verified(recommender, untrue.rationale).holds:
                    missed[untrue.subject] += 1
                    print(f"NOT CAUGHT {view} {untrue.subject}: {untrue.what}: {untrue.rationale}", file=sys.stderr)
    return {"mutations": dict(made), "not_caught": sum(missed.values()), "missed": dict(missed)}


if __name__ == "__main__":
    main()
