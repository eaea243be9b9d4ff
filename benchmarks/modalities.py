"""What each modality adds: the joint stage fitted with some of them, with all, and with content that means nothing.

    python benchmarks/modalities.py --data tiktok-mm --seeds 0 1 2 3 4 --part test \\
        --out benchmarks/results/modalities.json

Every variant is fitted by itself. `dynmm/cf+image` and the like know one modality beside interactions;
`dynmm/without-image` all but one, where there are more than two. `dynmm/shuffled` is the control: all modalities,
each item with another item's, so what it gains over the backbone is not owed to content. Data with a split of its
own is asked by that (`holdout`), other data by `full`. `--part validation` is the default, and what anything may be
chosen by. `--part test` opens the test part; each opening gets a number and a line in docs/experiment-log.md.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dynmm import Config, Dataset, Recommender
from dynmm.assembly import FitOptions, fit, known_features, rungs
from dynmm.assembly.whole import base_of, whole_of
from dynmm.catalogue.corruption import corrupt
from dynmm.catalogue.features import Features
from dynmm.config import read_config
from dynmm.evaluation import protocols
from dynmm.evaluation.comparisons import compare
from dynmm.evaluation.ladder import ladder
from dynmm.evaluation.results import Evaluation
from dynmm.evaluation.scores import Users, json_ready
from dynmm.fusion.system import JointSystem, fit_joint
from dynmm.stages import StageCache
from dynmm.storage import write_json
from dynmm.system import System
from dynmm.testing.folders import data_folders

DATA_SETS = ("tiktok-mm", "ml-1m")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", help="folder, or name of one under DYNMM_DATA; repeatable")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--part", choices=["validation", "test"], default="validation")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one override; repeatable")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = {}
    for folder in data_folders(arguments.data or DATA_SETS):
        config = read_config(None, arguments.set)
        results[folder.name] = _measure(Dataset.load(folder), config, arguments.seeds, arguments.part, arguments.device)
    if arguments.out is not None and results:
        facts = {"date": datetime.date.today().isoformat(), "torch": torch.__version__, "part": arguments.part}
        write_json(arguments.out, facts | {"data": results})


def _measure(data: Dataset, config: Config, seeds: list[int], part: str, device: str) -> dict[str, Any]:
    split_name = "full" if data.given_split is None else "holdout"
    whole = [_fit(data, config, split_name, seed, device) for seed in seeds]
    split, features = whole[0].split, known_features(whole[0])
    assert split is not None
    cases = split.validation if part == "validation" else split.test
    assert cases is not None
    senses = [one.modality for one in features]
    systems: dict[str, list[System]] = {name: [rungs(one)[name] for one in whole] for name in rungs(whole[0])}
    for name, some in _subsets(senses).items():
        less = Config.of({**config.model_dump(), "fusion": {**config.fusion.model_dump(), "modalities": some}})
        fits = [_fit(data, less, split_name, seed, device) for seed in seeds]
        systems[name] = [rungs(one)["dynmm/joint"] for one in fits]
    systems["dynmm/shuffled"] = [_shuffled(one, seed) for one, seed in zip(whole, seeds, strict=True)]
    outcome = protocols.run(
        protocols.full(split.train, cases, protocol=split.name),
        systems,
        data_sha256=whole[0].facts["data"]["sha256"],
    )
    print(f"\n{split.source.info.name}, {part}, {split.name} ({split.variant}), seeds {seeds}")
    print(ladder(outcome.to_json()).to_text())
    return outcome.to_json() | {
        "part": part,
        "run_seeds": seeds,
        "senses": senses,
        "each": _each(outcome, senses),
        "notes": [*outcome.notes, *split.notes],
    }


def _subsets(senses: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Each modality beside interactions; and all but one, where that is something else."""
    if len(senses) < 2:
        return {}
    found: dict[str, tuple[str, ...]] = {f"dynmm/cf+{one}": (one,) for one in senses}
    if len(senses) > 2:
        found |= {f"dynmm/without-{one}": tuple(other for other in senses if other != one) for one in senses}
    return found


def _fit(data: Dataset, config: Config, split: str, seed: int, device: str) -> Recommender:
    def told(stage: str) -> None:
        print(f"{data.info.name} {config.fusion.modalities} seed {seed}: {stage}", file=sys.stderr, flush=True)

    return fit(data, config, split=split, seed=seed, options=FitOptions(device, on_stage=told)).recommender


def _shuffled(recommender: Recommender, seed: int) -> System:
    """The joint stage fitted like the run's own, on the same backbone, with every item's content another item's."""
    whole, split = whole_of(recommender), recommender.split
    assert split is not None
    wrong: list[Features] = list(known_features(recommender))
    for one in list(wrong):
        wrong = corrupt(wrong, one.modality, "wrong", 1.0, seed)
    settings = Config.of(recommender.facts["config"]).fusion
    print(f"seed {seed}: the control", file=sys.stderr, flush=True)
    joint = fit_joint(split.train, base_of(whole.backbone), wrong, settings, seed, cache=StageCache())
    return JointSystem(lambda _: joint, joint)


def _each(outcome: Evaluation, senses: Sequence[str]) -> list[dict[str, Any]]:
    """What each modality adds to interactions: against the backbone, and against content that means nothing."""
    there = {one.name for one in outcome.systems}
    ours = [f"dynmm/cf+{one}" for one in senses if f"dynmm/cf+{one}" in there] or ["dynmm/joint"]
    pairs = [(name, other) for name in ours for other in ("dynmm/backbone", "dynmm/shuffled")]
    found = compare(outcome.systems, pairs, Users(outcome.users), how=outcome.how)
    for one in found:
        star = "*" if one.star else ""
        bounds = f"[{one.ci95[0]:+.4f}, {one.ci95[1]:+.4f}]"
        print(f"  {one.ours} - {one.theirs}, {one.metric}: {one.difference:+.4f} {bounds} {one.verdict}{star}")
    told: list[dict[str, Any]] = json_ready([one.to_json() for one in found])
    return told


if __name__ == "__main__":
    main()
