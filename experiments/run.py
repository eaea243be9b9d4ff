"""Fits and measures the rows of a table, each against the first.

    python experiments/run.py experiments/joint-losses --data amazon14-beauty --seeds 0 1 2 --out rows.json

`--part validation` is the default. `--part test` opens the test part; each opening gets a number and a line in
docs/experiment-log.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from dynmm import Dataset
from dynmm.assembly import FitOptions, as_fitted, fit, known_features, of_kind, with_features
from dynmm.catalogue.corruption import Condition
from dynmm.config import Config, read_config
from dynmm.evaluation import protocols
from dynmm.evaluation.comparisons import compare
from dynmm.evaluation.ladder import Table
from dynmm.evaluation.results import Evaluation
from dynmm.evaluation.scores import Users, json_ready
from dynmm.interactions.contenthash import data_sha256
from dynmm.interactions.splits import make_split
from dynmm.storage import write_json
from dynmm.system import System
from dynmm.testing.folders import data_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="a folder of rows, or one row")
    parser.add_argument("--data", required=True, help="folder, or name of one under DYNMM_DATA")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--part", choices=["validation", "test"], default="validation")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one override under all rows, which may change it; repeatable",
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    files = sorted(given.rows.glob("*.json")) if given.rows.is_dir() else [given.rows]
    rows = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    under = read_config(None, given.set).model_dump(mode="json", exclude_unset=True)
    rows = [row | {"config": _merged(under, row["config"])} for row in rows]
    data = Dataset.load(data_folder(given.data) or given.data)
    split = make_split(data, Config.of({"split": {"name": "full"}}).split, 0)
    cases = split.validation if given.part == "validation" else split.test
    assert cases is not None, "a full split holds out both parts"
    systems = {row["row"]: _systems(data, row, given.seeds, given.device) for row in rows}
    outcome = protocols.run(protocols.full(split.train, cases), systems, data_sha256=data_sha256(data))
    print(f"{data.info.name}, {given.part}, full ranking, seeds {given.seeds}")
    print(_table(outcome).to_text())
    if given.out is not None:
        facts = {"date": datetime.date.today().isoformat(), "torch": torch.__version__, "part": given.part}
        told = {"data": data.info.name, "run_seeds": given.seeds, "rows": rows, "result": outcome.to_json()}
        write_json(given.out, facts | told | {"losses": json_ready(_losses(outcome))})


def _systems(data: Dataset, row: Mapping[str, Any], seeds: Sequence[int], device: str) -> Iterator[System]:
    """The row's system, once for each seed, made when its turn comes.

    Where the row names a re-ranker, that one ranks: validation might prefer the stages below, and then rows that differ
    in their re-ranker would be compared by what they have in common.
    """
    kind = row["config"].get("rerank", "auto")
    for seed in seeds:
        recommender = fit(data, row["config"], split="full", seed=seed, options=FitOptions(device)).recommender
        whole = as_fitted(recommender)
        if "condition" in row:
            asked = row["condition"]
            condition = Condition(asked["kind"], tuple(asked["modalities"]), asked.get("rate", 1.0))
            whole = with_features(recommender, condition.applied(known_features(recommender), seed))
        yield whole if kind in ("auto", "none") else of_kind(whole, kind)


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both, section by section; what stands over wins."""
    both = {key: _merged(under[key], over[key]) for key in under.keys() & over.keys() if isinstance(over[key], dict)}
    return {**under, **over, **both}


def _losses(outcome: Evaluation) -> list[dict[str, Any]]:
    first, *others = outcome.systems
    pairs = [(other.name, first.name) for other in others]
    found = compare(outcome.systems, pairs, Users(outcome.users), metrics=outcome.compared, how=outcome.how)
    return [
        {
            "row": one.ours,
            "metric": one.metric,
            "difference": one.difference,
            "ci95": list(one.ci95),
            "p_holm": one.p_holm,
            "significant": one.star,
        }
        for one in found
    ]


def _table(outcome: Evaluation) -> Table:
    told = outcome.to_json()["systems"]
    losses = {(one["row"], one["metric"]): one for one in _losses(outcome)}
    rows = []
    for name, cell in told.items():
        line = [name]
        for metric in outcome.compared:
            one = losses.get((name, metric))
            change = ""
            if one is not None:
                low, high = one["ci95"]
                star = "*" if one["significant"] else ""
                change = f"{one['difference']:+.4f} [{low:+.4f}, {high:+.4f}]{star}"
            line += [f"{cell[metric]['mean']:.4f}", change]
        rows.append(tuple(line))
    header = [column for metric in outcome.compared for column in (metric, "against the first")]
    foot = "[low, high]: 95 % interval over users, paired bootstrap. *: paired t, p < .05 after Holm's correction."
    return Table(("row", *header), tuple(rows), foot)


if __name__ == "__main__":
    main()
