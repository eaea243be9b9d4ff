"""The two accuracy tables of the README, from what `benchmarks/accuracy.py --part test` wrote: levels, then steps.

python experiments/accuracy_table.py benchmarks/results/accuracy-beauty.json benchmarks/results/accuracy-sports.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dynmm.evaluation.ladder import ladder

#: The highest published numbers that we know of, HR@10 and NDCG@10, each by itself.
BEST = {"amazon14-beauty": ".0928 / .0547", "amazon14-sports": ".0569 / .0323", "ml-1m": ".316 / .181"}
COMPARED = ("item-knn", "als", "bpr", "popularity")
RUNGS = ("dynmm/evidence", "dynmm/joint", "dynmm/backbone")
METRICS = ("hit@10", "ndcg@10")
STEPS = ("dynmm", *RUNGS, "item-knn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    files = parser.parse_args().files
    results = {
        name: result for file in files for name, result in json.loads(file.read_text(encoding="utf-8"))["data"].items()
    }
    print("| data | users, seeds | dynmm HR@10 | NDCG@10 | " + " | ".join((*RUNGS, *COMPARED)) + " | best published |")
    print("|---|---|---|---|" + "---|" * (len(RUNGS) + len(COMPARED)) + "---|")
    for name, result in results.items():
        print(_row(name, result))
    print("\n| data | step | gain in HR@10 | gain in NDCG@10 |\n|---|---|---|---|")
    for name, result in results.items():
        for step in _steps(result):
            print("| " + " | ".join((name, *step)) + " |")


def _steps(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Each rung less the one below, and the whole less item-knn, in the words of `dynmm evaluate`."""
    return [row[3:] for row in ladder(result, METRICS).rows if row[3] and row[0].removeprefix("+ ") in STEPS]


def _row(name: str, result: Mapping[str, Any]) -> str:
    systems = result["systems"]
    ours = [_whole(systems["dynmm"][metric]) for metric in METRICS]
    others = [_pair(systems[one]) for one in (*RUNGS, *COMPARED)]
    cells = [name, f"{result['users']:,}, {len(result['run_seeds'])}", *ours, *others, BEST.get(name, "")]
    return "| " + " | ".join(cells) + " |"


def _whole(cell: Mapping[str, Any]) -> str:
    low, high = cell["ci95"]
    return f"{cell['mean']:.4f} [{low:.4f}, {high:.4f}]"


def _pair(system: Mapping[str, Any]) -> str:
    return " / ".join(f"{system[metric]['mean']:.4f}" for metric in METRICS)


if __name__ == "__main__":
    main()
