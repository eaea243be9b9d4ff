"""Import of a csv with 10 million interactions, and its splits: wall time and peak memory of a fresh process each.

    python benchmarks/import_speed.py [--rows 10000000] [--out benchmarks/results/import_speed.json]

The csv is generated in a temporary folder, in chunks, rows in no useful order, and thrown away afterwards.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

USERS, ITEMS = 400_000, 60_000
CHUNK = 1_000_000
LIMIT_SECONDS, LIMIT_GB = 90.0, 3.0


def write_csv(path: Path, rows: int) -> None:
    """Long-tailed users and items, seconds over three years."""
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        for start in range(0, rows, CHUNK):
            size = min(CHUNK, rows - start)
            frame = pl.DataFrame(
                {
                    "user": (USERS * random.random(size) ** 1.6).astype(np.int64),
                    "item": (ITEMS * random.random(size) ** 2.5).astype(np.int64),
                    "timestamp": 1_600_000_000 + random.integers(0, 94_000_000, size),
                    "rating": random.integers(1, 11, size) / 2,
                }
            )
            text = frame.with_columns(user=pl.format("u{}", "user"), item=pl.format("item-{}", "item"))
            text.write_csv(file, include_header=start == 0)


def run_import(source: str, folder: str) -> None:
    from dynmm.interactions.importers import import_folder

    import_folder("csv", source, folder)


def run_split(folder: str, name: str) -> None:
    from dynmm.interactions.dataset import Dataset
    from dynmm.interactions.splits import SplitConfig, make_split

    dataset = Dataset.load(folder)
    split = make_split(dataset, SplitConfig.model_validate({"name": name}), seed=0)
    assert len(split.train.events) > 0


STEPS: dict[str, Callable[[str, str], None]] = {"import": run_import, "split": run_split}


def measured(step: str, *arguments: str) -> dict[str, float]:
    """Run one step in a fresh process and wait for it. Raises RuntimeError where it fails."""
    start = time.perf_counter()
    child = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, __file__, "--step", step, *arguments])
    _, status, usage = os.wait4(child, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"the step {step} {' '.join(arguments)} failed")
    return {
        "seconds": round(time.perf_counter() - start, 2),
        "peak_gb": round(usage.ru_maxrss * 1024 / 1e9, 3),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
    }


def measure(rows: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as scratch:
        source, folder = Path(scratch) / "log.csv", str(Path(scratch) / "data")
        write_csv(source, rows)
        size = source.stat().st_size
        steps = {"import": measured("import", str(source), folder)}
        for name in ("full", "stream"):
            steps[f"load and split {name}"] = measured("split", folder, name)
    splits = [value for name, value in steps.items() if name != "import"]

    def total(what: str) -> float:
        return round(steps["import"][what] + max(split[what] for split in splits), 2)

    seconds = total("seconds")
    peak = max(value["peak_gb"] for value in steps.values())
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpus": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 2),
        "rows": rows,
        "csv_gb": round(size / 1e9, 3),
        "steps": steps,
        "import_and_split_seconds": seconds,
        "import_and_split_cpu_seconds": total("cpu_seconds"),
        "peak_gb": peak,
        "seconds_to_limit": round(seconds / LIMIT_SECONDS, 3),
        "peak_to_limit": round(peak / LIMIT_GB, 3),
        "passes": seconds < LIMIT_SECONDS and peak < LIMIT_GB,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "import_speed.json")
    parser.add_argument("--step", nargs=3, metavar=("STEP", "FROM", "TO"), help="run one step in this process")
    arguments = parser.parse_args()
    if arguments.step:
        step, first, second = arguments.step
        STEPS[step](first, second)
        return
    result = measure(arguments.rows)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    sys.exit(0 if result["passes"] else 1)


if __name__ == "__main__":
    main()
