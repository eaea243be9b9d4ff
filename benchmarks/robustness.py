"""What fitted recommenders lose without a modality, with noise in its place, and with another item's.

    python benchmarks/robustness.py --data ml-1m --part test --out benchmarks/results/robustness.json

Full ranking over several seeds, curves over rates, and the claims at their margins; beside the JSON a figure for
each data set. Nothing is trained anew: fits come from the stage cache where there are any. `--part validation` is
the default, and what anything may be chosen by. `--part test` opens the test part; each opening gets a number and
a line in docs/experiment-log.md. The seed of a fit also draws which items are hit.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from dynmm import Config, Dataset, Recommender
from dynmm.assembly import FitOptions, fit, known_features, with_features
from dynmm.catalogue.corruption import Condition
from dynmm.config import read_config
from dynmm.evaluation import figures, protocols
from dynmm.evaluation.robustness import RATES, conditions, missing_table, robustness_table, run_robustness
from dynmm.storage import write_bytes, write_json
from dynmm.system import System
from dynmm.testing.folders import data_folders

DATA_SETS = ("ml-1m", "amazon14-beauty", "amazon14-sports")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", help="folder, or name of one under DYNMM_DATA; repeatable")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES), help="shares of the items that are hit")
    parser.add_argument("--split", default="full")
    parser.add_argument("--part", choices=["validation", "test"], default="validation")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one override; repeatable")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    config = read_config(None, arguments.set)
    results = {}
    for folder in data_folders(arguments.data or DATA_SETS):
        data = Dataset.load(folder)
        fits = [_fit(data, config, seed, arguments.split, arguments.device) for seed in arguments.seeds]
        results[folder.name] = _measure(fits, arguments.part, arguments.seeds, arguments.rates)
        if arguments.out is not None:
            image = figures.robustness(results[folder.name])
            write_bytes(arguments.out.with_name(f"{arguments.out.stem}-{folder.name}.svg"), image)
    if arguments.out is not None and results:
        facts = {"date": datetime.date.today().isoformat(), "torch": torch.__version__, "part": arguments.part}
        write_json(arguments.out, facts | {"data": results})


def _fit(data: Dataset, config: Config, seed: int, split: str, device: str) -> Recommender:
    def told(stage: str) -> None:
        print(f"{data.info.name} seed {seed}: {stage}", file=sys.stderr, flush=True)

    return fit(data, config, split=split, seed=seed, options=FitOptions(device, on_stage=told)).recommender


def _measure(fits: Sequence[Recommender], part: str, seeds: list[int], rates: list[float]) -> dict[str, Any]:
    split = fits[0].split
    assert split is not None
    cases = split.validation if part == "validation" else split.test
    assert cases is not None
    exam = protocols.full(split.train, cases, protocol=split.name)
    asked = conditions([one.modality for one in known_features(fits[0])], rates=rates)
    found = run_robustness(
        exam, {one: _under(one, fits, seeds) for one in asked}, data_sha256=fits[0].facts["data"]["sha256"]
    ).to_json()
    print(f"\n{split.source.info.name}, {part}, full ranking, seeds {seeds}")
    print(robustness_table(found).to_text())
    if found["against_missing"]:
        print(missing_table(found).to_text())
    return found | {"part": part, "run_seeds": seeds}


def _under(condition: Condition, fits: Sequence[Recommender], seeds: Sequence[int]) -> Iterator[System]:
    """Every fit under one condition, made when its turn comes."""
    for recommender, seed in zip(fits, seeds, strict=True):
        print(f"seed {seed}: {condition.name}", file=sys.stderr, flush=True)
        yield with_features(recommender, condition.applied(known_features(recommender), seed))


if __name__ == "__main__":
    main()
