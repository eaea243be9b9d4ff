"""Are the explanations the reason, do they recompute, and what may be said at each k?

    python benchmarks/explanations.py --data ml-1m --users 200 --out benchmarks/results/explanations.json

For each data set: faithfulness on the recomputed score against controls (the bar: the cited evidence is worth five
times as much as random evidence of the same user), consistency, recomputation of every claim, abstention and the
share of the evidence that can be told in each view, and variety. Where a data set has reference explanations, BLEU,
ROUGE and likeness against them. Nothing is trained anew: fits come from the stage cache where there are any. A
figure of what the score loses with its evidence is written beside the JSON for each data set.
`--part validation` is the default; `--part test` opens the test part.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dynmm import Dataset, Recommender
from dynmm.assembly import FitOptions, explainer_of, fit
from dynmm.config import read_config
from dynmm.encoders.text import MiniLM
from dynmm.evaluation import figures
from dynmm.evaluation.claims import measure_claims
from dynmm.evaluation.explaining import Asked, Explainer, Explaining, Surroundings, cited_by, recommended
from dynmm.evaluation.faithfulness import FaithfulnessPlan, measure_faithfulness
from dynmm.evaluation.ladder import Table
from dynmm.evaluation.wording_scores import wording_scores
from dynmm.evidence.attributes import AttributeTable
from dynmm.factids import value_text
from dynmm.interactions.dataset import DatasetInfo
from dynmm.interactions.explanations import SOURCE, TEXT, read_explanations
from dynmm.interactions.fields import EXPLANATIONS_FILE, ITEM, USER
from dynmm.interactions.splits import Split
from dynmm.protocols import FactStore
from dynmm.rationale.claims import tellable_share
from dynmm.rationale.settings import RationaleSettings
from dynmm.rationale.verification import verify
from dynmm.rationale.writing import write
from dynmm.storage import write_bytes, write_json
from dynmm.system import Query
from dynmm.testing.folders import data_folders
from dynmm.types import Explained, Rationale

DATA_SETS = ("amazon14-beauty", "ml-1m", "ml-latest-small")
REFERENCES = "xrec-amazon-books"

#: More than there are behind any score.
ALL_FACTS = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", help="folder, or name of one under DYNMM_DATA; repeatable")
    parser.add_argument("--users", type=int, default=200, help="whose recommendations are explained")
    parser.add_argument("--depth", type=int, default=3, help="recommendations explained for each of them")
    parser.add_argument("--draws", type=int, default=5, help="of each random control")
    parser.add_argument("--references", type=int, default=500, help="reference explanations compared, at most")
    parser.add_argument("--split", default="full")
    parser.add_argument("--part", choices=["validation", "test"], default="validation")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one override; repeatable")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = {}
    for folder in data_folders(arguments.data or (*DATA_SETS, REFERENCES)):
        results[folder.name] = result = _measured(folder, arguments)
        if arguments.out is not None:
            image = figures.faithfulness_curves(result["faithfulness"])
            write_bytes(arguments.out.with_name(f"{arguments.out.stem}-{folder.name}.svg"), image)
    if arguments.out is not None and results:
        facts = {"date": datetime.date.today().isoformat(), "torch": torch.__version__, "part": arguments.part}
        write_json(arguments.out, facts | {"data": results})


def _measured(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    def stage(name: str) -> None:
        print(f"{folder.name}: {name}", file=sys.stderr, flush=True)

    data = Dataset.load(folder)
    split = "holdout" if data.given_split is not None else arguments.split
    options = FitOptions(arguments.device, on_stage=stage)
    fitted = fit(data, read_config(None, arguments.set), split=split, seed=arguments.seed, options=options)
    parts = Parts.of(fitted.recommender)
    cases = fitted.split.validation if arguments.part == "validation" else fitted.split.test
    assert cases is not None
    asked = recommended(parts.operator, cases, users=arguments.users, depth=arguments.depth, seed=arguments.seed)
    found: dict[str, Any] = {"part": arguments.part, "split": split}
    stage("faithfulness")
    plan = FaithfulnessPlan(draws=arguments.draws, seed=arguments.seed)
    found["faithfulness"] = measure_faithfulness(parts.thorough, parts.cite, asked, parts.around, plan).to_json()
    stage("claims")
    found["claims"] = measure_claims(
        parts.explaining,
        parts.write,
        parts.verify,
        asked,
        attributes=_attributes(fitted.split.source),
        n_items=fitted.split.source.n_items,
        tellable=parts.tellable,
    ).to_json()
    if (folder / EXPLANATIONS_FILE).is_file():
        stage("references")
        found["references"] = _against_references(folder, parts, fitted.split, arguments.references)
    _tell(folder.name, found)
    return found


@dataclass(frozen=True, eq=False)
class Parts:
    """A fitted recommender as the evaluation of explanations asks for it.

    explaining: to one view at one k. operator: to the operator. thorough: the same, but it names every fact behind a
    score, so that controls draw from all of them.
    """

    explaining: Explaining
    operator: Explainer
    thorough: Explainer
    store: FactStore
    info: DatasetInfo
    around: Surroundings

    @classmethod
    def of(cls, recommender: Recommender) -> Parts:
        """The one place that knows how a recommender explains."""
        operator = explainer_of(recommender, "operator")
        items = recommender.items

        def neighbours(item: int, n: int) -> Sequence[int]:
            return [items.encode(one.item) for one in recommender.similar(items.decode(item), n)]

        around = Surroundings(items, recommender.known.item_counts(), neighbours)
        thorough = replace(operator, settings=operator.settings.model_copy(update={"told": ALL_FACTS}))

        @cache
        def explaining(view: str, k: int) -> Explainer:
            return operator if view == "operator" else explainer_of(recommender, view, k)

        return cls(explaining, operator, thorough, operator.store, recommender.known.info, around)

    def cite(self, query: Query, explained: Explained) -> Sequence[str]:
        """As `explaining.Citing`: what the shipped rationale cites, however many facts the explanation names."""
        item = self.around.items.encode(explained.item)
        return cited_by(self.write)(query, self.operator.explain(query, item))

    def write(self, _: Query, explained: Explained, view: str, k: int) -> Rationale:
        """As `explaining.Writer`."""
        return write(explained, self.store, self.info, _settings(view, k))

    def told(self, one: Asked, view: str, k: int) -> str:
        """What a view is told of one question."""
        explained = self.explaining(view, k).explain(one.query, one.item)
        return self.write(one.query, explained, view, k).text

    def verify(self, rationale: Rationale) -> list[bool]:
        """As `explaining.Verifier`: what is wrong with the whole counts against each of its claims."""
        problems = verify(rationale.as_json(), self.store, self.info, _settings(rationale.view, rationale.k)).problems
        wrong = {one.claim for one in problems}
        return [None not in wrong and place not in wrong for place in range(len(rationale.claims))]

    def tellable(self, explained: Explained, view: str, k: int) -> float:
        """As `explaining.Tellable`."""
        return tellable_share(explained, _settings(view, k), self.store.n_items)


def _settings(view: str, k: int) -> RationaleSettings:
    """The operator's view is exact and needs no k."""
    return RationaleSettings(view="operator") if view == "operator" else RationaleSettings(k=k)


def _attributes(data: Dataset) -> set[str]:
    """What at least two items share, as evidence names it."""
    table = AttributeTable.of(data.item_table)
    return {f"{name}={value_text(value)}" for (name, value), n in zip(table.values, table.shared, strict=True) if n > 1}


def _against_references(folder: Path, parts: Parts, split: Split, n: int) -> dict[str, Any]:
    """Rationales for pairs with a reference text, from the users' training histories; and what stands beside them.

    Of the references' own prediction where the file has one: another model's text for the same pair. Of the title
    alone: what any text that names the book would get.
    """
    further = "xrec_prediction"
    there = read_explanations(folder, also=[further])
    train = split.train
    users, items = (
        vocabulary.encode_known(there[name]) for vocabulary, name in ((train.users, USER), (train.items, ITEM))
    )
    rows = np.flatnonzero((users >= 0) & (items >= 0))[:n]
    asked = [_question(train, int(users[row]), int(items[row])) for row in rows]
    references = [there[TEXT][int(row)] for row in rows]
    titles = [parts.store.title(there[ITEM][int(row)]) or "" for row in rows]
    texts = {view: [parts.told(one, view, 5) for one in asked] for view in ("operator", "public")}
    texts |= {"title alone": titles, further: [there[further][int(row)] for row in rows]}
    embed, who = _embedding(), users[rows]
    return {
        "source": sorted(set(there[SOURCE].to_list())),
        "scores": {name: wording_scores(one, references, users=who, embed=embed) for name, one in texts.items()},
    }


def _question(train: Dataset, user: int, item: int) -> Asked:
    history = train.history(user)
    return Asked(user, Query(history, exclude=np.setdiff1d(history.items, [item])), item)


def _embedding() -> Callable[[Sequence[str]], Any]:
    encoder = MiniLM()
    return lambda texts: np.concatenate(
        [encoder.encode(texts[start : start + 64]).vectors for start in range(0, len(texts), 64)]
    )


def _tell(name: str, found: Mapping[str, Any]) -> None:
    faithful, claims = found["faithfulness"], found["claims"]
    print(f"\n{name}: {faithful['cite_something']} of {faithful['explanations']} explanations cite something, ", end="")
    print(f"{faithful['mean_cited']:.1f} of {faithful['mean_facts']:.1f} facts")
    rows = []
    for unit in ("facts", "items"):
        for control, ratio in faithful[unit]["ratio"].items():
            lost = faithful[unit]["comprehensiveness"]
            cells = [f"{lost[whose]['score']['mean']:.4f}" for whose in ("cited", control)]
            told = ratio["score"]
            rows.append((unit, control, *cells, _number(told["ratio"]), "yes" if told["shown"] else "no"))
    header = ("unit", "control", "lost without cited", "without control", "ratio", f"at least {faithful['bar']:g}")
    print(Table(header, tuple(rows)).to_text())
    rows = [
        (view, *(_number(one[key]["mean"]) for key in _SHARES), _number(one["recompute"]["share"]))
        for view, one in claims["views"].items()
    ]
    print(Table(("view", *_SHARES, "recompute"), tuple(rows)).to_text())
    print(f"consistency: {claims['consistency']}")
    for whose, scores in found.get("references", {}).get("scores", {}).items():
        print(f"{whose}: " + ", ".join(f"{key} {_value(scores[key]):.3f}" for key in _WORDS))


_SHARES = ("abstention", "tellable", "told", "claims")
_WORDS = ("bleu-1", "bleu-4", "rouge-1", "rouge-2", "rouge-l", "similarity")


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _value(score: Mapping[str, Any]) -> float:
    return float(score["score"] if "score" in score else score["mean"])


if __name__ == "__main__":
    main()
