"""Cold items: our system beside content-only item-kNN, counts and chance, among all items and among cold ones.

    python benchmarks/cold.py --data amazon14-beauty --part test --out benchmarks/results/cold.json

`--part validation` is the default, and what anything may be chosen by: the cold protocol within the training part
of the cold protocol. `--part test` opens the test part; each opening gets a number and a line in
docs/experiment-log.md. `dynmm/only-image` and the like are the same fits with every other sense taken away from
the items; each is also compared with chance. Fits come from the stage cache where there are any.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import torch

from dynmm import Config, Dataset, Recommender, baselines
from dynmm.assembly import FitOptions, fit, known_features, rungs, with_features
from dynmm.catalogue.content import Modality
from dynmm.catalogue.corruption import drop
from dynmm.catalogue.features import Features
from dynmm.config import read_config
from dynmm.evaluation.comparisons import compare
from dynmm.evaluation.ladder import ladder
from dynmm.evaluation.protocols import exams, run_all
from dynmm.evaluation.results import Evaluation
from dynmm.evaluation.scores import Users, json_ready
from dynmm.interactions.splits import SplitConfig, make_split
from dynmm.measurement import comparison_names
from dynmm.storage import write_json
from dynmm.system import System
from dynmm.testing.folders import data_folders

DATA_SETS = ("amazon14-beauty", "amazon18-office", "ml-1m")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", help="folder, or name of one under DYNMM_DATA; repeatable")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--part", choices=["validation", "test"], default="validation")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one override; repeatable")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    config = read_config(None, arguments.set)
    results = {}
    for folder in data_folders(arguments.data or DATA_SETS):
        data = Dataset.load(folder)
        if arguments.part == "validation":
            data = _training_part(data, config.split)
        fits = [_fit(data, config, seed, arguments.device) for seed in arguments.seeds]
        results[folder.name] = _measure(fits, arguments.part, arguments.seeds)
    if arguments.out is not None and results:
        facts = {"date": datetime.date.today().isoformat(), "torch": torch.__version__, "part": arguments.part}
        write_json(arguments.out, facts | {"data": results})


def _training_part(data: Dataset, chosen: SplitConfig) -> Dataset:
    """What a fit under `cold` may know, as a data set of its own: its own cold items select, none of the test's."""
    split = make_split(data, chosen.model_copy(update={"name": "cold"}), 0)
    return replace(split.train, validation=None)


def _fit(data: Dataset, config: Config, seed: int, device: str) -> Recommender:
    def told(stage: str) -> None:
        print(f"{data.info.name} seed {seed}: {stage}", file=sys.stderr, flush=True)

    return fit(data, config, split="cold", seed=seed, options=FitOptions(device, on_stage=told)).recommender


def _measure(fits: Sequence[Recommender], part: str, seeds: list[int]) -> dict[str, Any]:
    split = fits[0].split
    assert split is not None
    features = known_features(fits[0])
    senses = [one.modality for one in features]
    systems: dict[str, Iterable[System]] = {
        name: [rungs(one)[name] for one in fits] for name in rungs(fits[0]) if all(name in rungs(one) for one in fits)
    }
    if len(senses) > 1:
        systems |= {f"dynmm/only-{sense}": [_only(one, sense) for one in fits] for sense in senses}
    for name in comparison_names(split.train, cold=True, features=features):
        system = baselines.create(name, features=features)
        system.fit(split.train)
        systems[name] = [system]
    outcome = run_all(exams(split, "cold"), systems, data_sha256=fits[0].facts["data"]["sha256"])
    print(f"\n{split.source.info.name}, {part}, cold ({split.variant}), seeds {seeds}")
    chance = {}
    for one in (outcome, *outcome.beside):
        print(f"{one.protocol}: {len(one.users):,} users")
        print(ladder(one.to_json()).to_text())
        chance[one.protocol] = _against_chance(one)
    return outcome.to_json() | {
        "part": part,
        "variant": split.variant,
        "split_counts": split.counts,
        "run_seeds": seeds,
        "senses": senses,
        "against_chance": chance,
    }


def _only(recommender: Recommender, sense: Modality) -> System:
    """The fit where items have this sense and what interactions say of them, and nothing else."""
    features: list[Features] = list(known_features(recommender))
    others = [one.modality for one in features if one.modality != sense]
    return with_features(recommender, reduce(drop, others, features))


def _against_chance(outcome: Evaluation) -> list[dict[str, Any]]:
    """Each sense by itself, and each comparison by content, less `random`; one family of tests."""
    names = [one.name for one in outcome.systems]
    alone = [name for name in names if name.startswith(("dynmm/only-", "dynmm/joint", "content-knn"))]
    found = compare(outcome.systems, [(name, "random") for name in alone], Users(outcome.users), how=outcome.how)
    for one in found:
        star = "*" if one.star else ""
        print(f"  {one.ours} - random, {one.metric}: {one.difference:+.4f} {one.verdict}{star}")
    told: list[dict[str, Any]] = json_ready([one.to_json() for one in found])
    return told


if __name__ == "__main__":
    main()
