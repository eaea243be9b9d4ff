"""Replays a stream with each row of a table, and compares each with the first.

    python experiments/run_stream.py experiments/adapter-parts --data amazon18-office --seeds 0 1 2 --out rows.json

`--part nested` is the default: the stream is cut out of the first 70 % of the data. `--part test` opens the real one;
each opening gets a number and a line in docs/experiment-log.md. Rows that change the adapter alone share one fit.
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
from dynmm.assembly import fit, known_events, with_adapter
from dynmm.evaluation.comparisons import compare
from dynmm.evaluation.replay import Stream
from dynmm.evaluation.scores import Users, json_ready
from dynmm.evaluation.streams import run_stream
from dynmm.interactions.splits.settings import SplitConfig
from dynmm.interactions.splits.streaming import before_stream
from dynmm.interactions.windows import usual_window
from dynmm.recommender import Recommender
from dynmm.storage import write_json
from dynmm.system import System
from dynmm.testing.folders import data_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="a folder of rows")
    parser.add_argument("--data", required=True, help="folder, or name of one under DYNMM_DATA")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--part", choices=["nested", "test"], default="nested")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(given.rows.glob("*.json"))]
    data = Dataset.load(data_folder(given.data) or given.data)
    if given.part == "nested":
        data = before_stream(data, SplitConfig())
    first = _fitted(data, rows[0], given.seeds[0])
    window = usual_window(data)
    split = first.split
    assert split is not None
    assert split.stream is not None
    stream = Stream.of(known_events(split), split.stream, mode="event", window=window)
    outcome = run_stream(stream, {row["row"]: _systems(data, row, given.seeds, window) for row in rows}, data_sha256="")
    users = Users(stream.events.users)
    pairs = [(row["row"], rows[0]["row"]) for row in rows[1:]]
    found = [one.to_json() for one in compare(outcome.systems, pairs, users, how=outcome.how)]
    told = outcome.to_json()
    print(f"{data.info.name}, {given.part}, stream/event, seeds {given.seeds}")
    for name, cell in told["systems"].items():
        print(f"{name:20} hit@10 {cell['hit@10']['mean']:.4f}  ndcg@10 {cell['ndcg@10']['mean']:.4f}")
    if given.out is not None:
        facts = {"date": datetime.date.today().isoformat(), "torch": torch.__version__, "part": given.part}
        result = {"data": data.info.name, "run_seeds": given.seeds, "rows": rows, "systems": told["systems"]}
        write_json(given.out, facts | result | {"against_the_first": json_ready(found)})


def _systems(data: Dataset, row: Mapping[str, Any], seeds: Sequence[int], window: str) -> Iterator[System]:
    """The row's system, once for each seed, made when its turn comes."""
    for seed in seeds:
        yield with_adapter(_fitted(data, row, seed), window)


def _fitted(data: Dataset, row: Mapping[str, Any], seed: int) -> Recommender:
    return fit(data, row["config"], split="stream", seed=seed).recommender


if __name__ == "__main__":
    main()
