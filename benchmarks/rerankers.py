"""What a language model adds in re-ranking, against controls with the same inputs, candidates and training answers.

    python benchmarks/rerankers.py --data amazon14-beauty --seeds 0 1 2 --part test --users 5000 --out rerankers.json

Rows: the stages below, the two controls (mlp, transformer), the language model with facts and without, the same with
random weights, MiniLM in its place, the base aligner alone (user, history and candidate tokens over the joint stage, no
evidence), the paper's literal prompt, and llm-only, which reads the titles of the language row's candidates as text.
Every row ranks the whole catalogue. `--users` draws some of the users by seed, the same for
every row, because a language model takes milliseconds for each. `--part test` opens the test part; each opening gets a
number and a line in docs/experiment-log.md. Here no row is left out for what validation says, so
`--set reranking.validated=1` saves the time that asking it takes, and changes nothing else.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dynmm import Dataset
from dynmm.assembly import FitOptions, Fitted, WithoutReranker, as_fitted, fit, titles_only
from dynmm.config import read_config
from dynmm.evaluation import protocols
from dynmm.evaluation.comparisons import compare
from dynmm.evaluation.results import Evaluation
from dynmm.evaluation.scores import Users
from dynmm.language.slates import Slates
from dynmm.language.system import Below, RerankSystem
from dynmm.language.titles_only import TitlesOnly
from dynmm.randomness import generator
from dynmm.storage import write_json
from dynmm.system import Query, Rankings, System
from dynmm.testing.folders import data_folders
from dynmm.types import Events

DATA_SETS = ("amazon14-beauty", "ml-1m", "amazon18-office")

#: (row, kind, what it changes). The first three share one fit.
ROWS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("mlp", "mlp", {}),
    ("transformer", "transformer", {}),
    ("language", "language", {}),
    ("language, random weights", "language", {"language": {"weights": "random"}}),
    ("language, minilm", "language", {"language": {"model": "minilm"}}),
    ("language, no evidence", "language", {"language": {"evidence": "none"}}),
    ("language, random, no evidence", "language", {"language": {"evidence": "none", "weights": "random"}}),
    ("base aligner", "language", {"language": {"evidence": "none"}, "evidence": {"strengths": [0.0]}}),
    (
        "paper's prompt",
        "language",
        {"language": {"layout": "listwise", "candidate": "title", "evidence": "segment"}},
    ),
)

#: What each is compared with.
PAIRS = (
    ("language", "below"),
    ("language", "mlp"),
    ("language", "language, random weights"),
    ("language", "language, no evidence"),
    ("language", "base aligner"),
    ("language", "llm-only"),
    ("language, minilm", "language"),
    ("language, minilm", "mlp"),
    ("language, minilm", "below"),
    ("language, no evidence", "language, random, no evidence"),
    ("mlp", "below"),
    ("transformer", "below"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", help="folder, or name of one under DYNMM_DATA; repeatable")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--part", choices=["validation", "test"], default="validation")
    parser.add_argument("--users", type=int, default=5_000, help="users drawn, the same for every row")
    parser.add_argument("--row", action="append", choices=[row for row, *_ in ROWS], help="only these; repeatable")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one override; repeatable")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    results = {}
    for folder in data_folders(given.data or DATA_SETS):
        results[folder.name] = _measured(folder, given)
        if given.out is not None:
            facts = {"date": datetime.date.today().isoformat(), "torch": torch.__version__, "part": given.part}
            write_json(given.out, facts | {"seeds": given.seeds, "data": results})


def _measured(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    data = Dataset.load(folder)
    systems: dict[str, list[System]] = {}
    told: dict[str, list[Any]] = {}
    last: Fitted | None = None
    for seed in given.seeds:
        known: dict[str, _Once] = {}
        for row, kind, changes in ROWS:
            if given.row and row not in given.row:
                continue
            last = _fit(data, kind, changes, given.set, seed, given.device)
            whole = as_fitted(last.recommender)
            if whole.reranked is None or kind not in whole.reranked.fitted:
                print(f"{folder.name} seed {seed} {row}: too little to learn from", file=sys.stderr)
                continue
            # Rows of one seed that stand on the same facts read the same slates, which takes longer than most rankers.
            below = known.setdefault(str(changes.get("evidence")), _Once(whole.below()))
            systems.setdefault(row, []).append(
                RerankSystem(_never, (below, whole.reranked.fitted[kind].reranking), name=row)
            )
            if row == "language":
                systems.setdefault(TitlesOnly.name, []).append(titles_only(whole, data))
            told.setdefault(row, []).append(last.recommender.facts["rerank"]["kinds"][kind])
            if not changes and len(systems.get("below", ())) < len(systems[row]):
                systems.setdefault("below", []).append(WithoutReranker(whole))
    assert last is not None
    cases = last.split.validation if given.part == "validation" else last.split.test
    assert cases is not None
    drawn = np.sort(generator(0, "users of the benchmark").permutation(len(cases))[: given.users])
    outcome = protocols.run(
        protocols.full(last.split.train, cases.take(drawn)),
        systems,
        data_sha256=last.recommender.facts["data"]["sha256"],
    )
    found = outcome.to_json()
    print(f"\n{folder.name}, {given.part}, {len(drawn):,} users, seeds {given.seeds}")
    for row, cell in found["systems"].items():
        gammas = [one["gamma"] for one in told.get(row, ())]
        print(f"  {row:32s} {cell['hit@10']['mean']:.4f} / {cell['ndcg@10']['mean']:.4f}  gamma {gammas}")
    pairs = _pairs(outcome, list(systems))
    for one in pairs:
        low, high = one["ci95"]
        star = "*" if one["significant"] else ""
        pair = f"{one['ours']} - {one['theirs']}"
        print(f"  {pair:60s} {one['metric']} {one['difference']:+.4f} [{low:+.4f}, {high:+.4f}]{star}")
    return {"result": found, "pairs": pairs, "rerankers": told, "users": len(drawn)}


def _fit(
    data: Dataset, kind: str, changes: Mapping[str, Any], overrides: Sequence[str], seed: int, device: str
) -> Fitted:
    config: dict[str, Any] = read_config(None, overrides).model_dump(mode="json", exclude_unset=True)
    for section, values in changes.items():
        config[section] = {**config.get(section, {}), **values}
    config["rerank"] = kind
    said = FitOptions(
        device, on_stage=lambda stage: print(f"  seed {seed} {kind} {stage}", file=sys.stderr, flush=True)
    )
    return fit(data, config, split="full", seed=seed, options=said)


class _Once:
    """The stages below, whose answers are kept: every row asks them the same."""

    def __init__(self, below: Below) -> None:
        self._below, self.shelf = below, below.shelf
        self._found: dict[tuple[bytes, int], Rankings] = {}
        self._slates: dict[bytes, Slates] = {}

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        key = _named(queries), k
        if key not in self._found:
            self._found[key] = self._below.rank(queries, k)
        return self._found[key]

    def slates(self, queries: Sequence[Query], found: Rankings) -> Slates:
        key = _named(queries) + found.items.tobytes()
        if key not in self._slates:
            self._slates[key] = self._below.slates(queries, found)
        return self._slates[key]

    def learn(self, events: Events) -> None:
        """Nothing happens in between."""


def _named(queries: Sequence[Query]) -> bytes:
    told = hashlib.sha256()
    for query in queries:
        told.update(query.history.items.tobytes() + f"|{query.as_of}|".encode() + query.exclude.tobytes() + b"|")
    return told.digest()


def _never(_: Dataset) -> Any:
    raise AssertionError("every row is fitted already")


def _pairs(outcome: Evaluation, names: Sequence[str]) -> list[dict[str, Any]]:
    pairs = [(ours, other) for ours, other in PAIRS if ours in names and other in names]
    found = compare(outcome.systems, pairs, Users(outcome.users), metrics=outcome.compared, how=outcome.how)
    return [one.to_json() for one in found]


if __name__ == "__main__":
    main()
