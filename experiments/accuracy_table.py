"""The tables of accuracy in the README, from what `benchmarks/accuracy.py --part test` wrote.

The first has the systems, the second what each step of ours adds, and all of ours against item-knn: the paired
difference with 95 % over users, and the verdict, both metrics after Holm's correction.

python experiments/accuracy_table.py benchmarks/results/accuracy-beauty.json benchmarks/results/accuracy-sports.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: The highest published numbers that we know of, HR@10 and NDCG@10, each by itself.
BEST = {"amazon14-beauty": ".0928 / .0547", "amazon14-sports": ".0569 / .0323", "ml-1m": ".316 / .181"}
COMPARED = ("item-knn", "als", "bpr", "popularity")
RUNGS = ("dynmm/evidence", "dynmm/joint", "dynmm/backbone")
METRICS = ("hit@10", "ndcg@10")
STEPS = (
    ("joint over backbone", "dynmm/joint", "dynmm/backbone"),
    ("evidence over joint", "dynmm/evidence", "dynmm/joint"),
    ("re-ranker over evidence", "dynmm", "dynmm/evidence"),
    ("all over item-knn", "dynmm", "item-knn"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    print("| data | users, seeds | dynmm HR@10 | NDCG@10 | " + " | ".join((*RUNGS, *COMPARED)) + " | best published |")
    print("|---|---|---|---|" + "---|" * (len(RUNGS) + len(COMPARED)) + "---|")
    results: dict[str, Mapping[str, Any]] = {}
    for file in parser.parse_args().files:
        results |= json.loads(file.read_text(encoding="utf-8"))["data"]
    for name, result in results.items():
        print(_row(name, result))
    print("\n| step | " + " | ".join(results) + " |\n|---|" + "---|" * len(results))
    for step, ours, theirs in STEPS:
        print(f"| {step} | " + " | ".join(_step(result, ours, theirs) for result in results.values()) + " |")


def _row(name: str, result: Mapping[str, Any]) -> str:
    systems = result["systems"]
    ours = [_whole(systems["dynmm"][metric]) for metric in METRICS]
    others = [_pair(systems[one]) for one in (*RUNGS, *COMPARED)]
    cells = [name, f"{result['users']:,}, {len(result['run_seeds'])}", *ours, *others, BEST.get(name, "")]
    return "| " + " | ".join(cells) + " |"


def _step(result: Mapping[str, Any], ours: str, theirs: str) -> str:
    """Both metrics' differences; one verdict where they share it."""
    found = {one["metric"]: one for one in result["comparisons"] if (one["ours"], one["theirs"]) == (ours, theirs)}
    if not set(METRICS) <= set(found):
        return "not compared"
    cells = [
        f"{found[one]['difference']:+.4f} [{found[one]['ci95'][0]:+.4f}, {found[one]['ci95'][1]:+.4f}]"
        for one in METRICS
    ]
    verdicts = [found[one]["verdict"] for one in METRICS]
    said = verdicts[0] if verdicts[0] == verdicts[1] else " / ".join(verdicts)
    return f"{' / '.join(cells)}, {said}"


def _whole(cell: Mapping[str, Any]) -> str:
    low, high = cell["ci95"]
    return f"{cell['mean']:.4f} [{low:.4f}, {high:.4f}]"


def _pair(system: Mapping[str, Any]) -> str:
    return " / ".join(f"{system[metric]['mean']:.4f}" for metric in METRICS)


if __name__ == "__main__":
    main()
