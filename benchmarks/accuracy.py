"""Full ranking with the shipped defaults: HR@10 and NDCG@10 over several seeds, beside the comparison systems.

    python benchmarks/accuracy.py --data amazon14-beauty --part test --out benchmarks/results/accuracy.json

`--part validation` is the default, and what anything may be chosen by. `--part test` opens the test part;
each opening gets a number and a line in docs/experiment-log.md. Fits come from the stage cache where the same
inputs were fitted before, so a broken-off run goes on. `--set` tries another configuration, e.g.
`--set backbone.order=places`. Without --system every comparison that the data allows.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from dynmm import Config, Dataset, baselines
from dynmm.assembly import WHOLE, FitOptions, Fitted, fit, rungs
from dynmm.assembly.whole import RUNGS
from dynmm.config import read_config
from dynmm.evaluation import protocols
from dynmm.evaluation.ladder import ladder
from dynmm.measurement import comparison_names
from dynmm.storage import write_json
from dynmm.system import System
from dynmm.testing.folders import data_folders
from dynmm.training.reports import EpochReport

DATA_SETS = ("amazon14-beauty", "amazon14-sports", "ml-1m")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", help="folder, or name of one under DYNMM_DATA; repeatable")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--part", choices=["validation", "test"], default="validation")
    parser.add_argument("--system", action="append", help="comparison systems")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one override; repeatable")
    parser.add_argument("--fit-only", action="store_true", help="fill the stage cache and measure nothing")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = {}
    for folder in data_folders(arguments.data or DATA_SETS):
        config = read_config(None, arguments.set)
        fits = [_fit(folder, config, seed, arguments.device) for seed in arguments.seeds]
        if not arguments.fit_only:
            results[folder.name] = _measure(fits, arguments.part, arguments.system, arguments.seeds)
    if arguments.out is not None and results:
        facts = {"date": datetime.date.today().isoformat(), "torch": torch.__version__, "part": arguments.part}
        write_json(arguments.out, facts | {"data": results})


def _fit(folder: Path, config: Config, seed: int, device: str) -> Fitted:
    with tqdm(desc=f"{folder.name} seed {seed}", bar_format="{desc}: {n} epochs {elapsed}{postfix}") as bar:

        def began(stage: str) -> None:
            bar.set_description(f"{folder.name} seed {seed} {stage}")
            bar.n = 0

        def told(report: EpochReport) -> None:
            bar.set_postfix(loss=f"{report.loss:.3f}", ndcg=report.validation)
            bar.update()

        options = FitOptions(device, None, told, None, began)
        return fit(Dataset.load(folder), config, split="full", seed=seed, options=options)


def _measure(fits: list[Fitted], part: str, names: list[str] | None, seeds: list[int]) -> dict[str, Any]:
    split = fits[0].split
    cases = split.validation if part == "validation" else split.test
    assert cases is not None
    ladders = [rungs(one.recommender) for one in fits]
    # A seed in which a stage was not chosen ranks without it: its own whole stands there.
    *lower, top = [name for name in RUNGS if any(name in one for one in ladders)]
    systems: dict[str, list[System]] = {WHOLE if lower else top: [one.recommender.system for one in fits]}
    for name in lower:
        systems[name] = [ladder.get(name, one.recommender.system) for ladder, one in zip(ladders, fits, strict=True)]
    for name in names or comparison_names(split.train):
        system = baselines.create(name)
        system.fit(split.train)
        systems[name] = [system]
    result = protocols.run(
        protocols.full(split.train, cases), systems, data_sha256=fits[0].recommender.facts["data"]["sha256"]
    ).to_json()
    print(f"\n{split.source.info.name}, {part}, full ranking, seeds {seeds}")
    print(ladder(result).to_text())
    facts = [one.recommender.facts for one in fits]
    return result | {
        "part": part,
        "run_seeds": seeds,
        "rungs": [*lower, top],
        "rerank": [one["rerank"] for one in facts],
        "fit_seconds": {stage: [_seconds(one, stage) for one in fits] for stage in fits[0].curves},
        "epochs": {stage: [len(one.curves[stage]) for one in fits] for stage in fits[0].curves},
        "joint": [one["joint"] for one in facts],
        "content": [
            {"modality": one["modality"], "encoder": one["encoder"], "items": one["items"]}
            for one in facts[0]["content"]["modalities"]
        ],
        "config": {name: facts[0]["config"][name] for name in ("backbone", "encoders", "fusion")},
    }


def _seconds(fitted: Fitted, stage: str) -> float:
    return sum(report.seconds for report in fitted.curves[stage])


if __name__ == "__main__":
    main()
