"""Thousands of rationales in a language model's own words: each is verified, or plain words stand in its place.

    python benchmarks/written.py --data ml-100k --out benchmarks/results/written-ml-100k.json

For each data set: rationales of what is recommended to users, half of them in each view, worded by the frozen model
that `language.model` names; the compact one is pretrained on the catalogue first, unless the stage cache has it. Every
result must recompute from the log, the replaced ones too, and no name or number may stand in a text that does not
stand in the facts that its claims cite, which is looked for here without the verifier's help. Told are the shares
accepted and replaced with the reasons, how many differ from the plain words, and the processor time of a text.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dynmm import Dataset, Recommender
from dynmm.assembly import FitOptions, explainer_of, fit, verified
from dynmm.assembly.voicing import Voice
from dynmm.assembly.whole import whole_of
from dynmm.config import read_config
from dynmm.language.writing import WritingReport, Written
from dynmm.randomness import generator
from dynmm.rationale.verification import verify
from dynmm.rationale.writing import write
from dynmm.storage import write_json
from dynmm.system import Query
from dynmm.testing.folders import data_folders
from dynmm.types import Rationale

DATA_SETS = ("amazon14-beauty", "ml-1m")
VIEWS = ("public", "operator")
_DAY = re.compile(r"\b\d{4}-\d\d-\d\d\b")
_NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", help="folder, or name of one under DYNMM_DATA; repeatable")
    parser.add_argument("--count", type=int, default=10_000, help="rationales with a claim, over all data sets")
    parser.add_argument("--depth", type=int, default=3, help="recommendations of a user")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one override; repeatable")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    folders = list(data_folders(arguments.data or DATA_SETS))
    results = {}
    for folder in folders:
        results[folder.name] = _measured(Dataset.load(folder), arguments.count // len(folders), arguments)
        print(f"{folder.name}: {results[folder.name]}")
        if arguments.out is not None:
            write_json(arguments.out, {"date": datetime.date.today().isoformat(), "data": results})
    if any(one["do_not_recompute"] or one["says_more"] for one in results.values()):
        sys.exit(1)


def _measured(data: Dataset, count: int, arguments: argparse.Namespace) -> dict[str, Any]:
    recommender = _fitted(data, arguments)
    voice = whole_of(recommender).voice
    assert voice is not None, "language.writes is set"
    texts: list[Written] = []
    found: Counter[str] = Counter()
    seconds: list[float] = []
    examples: list[dict[str, str]] = []
    for view in VIEWS:
        wanted = zip(range(count // len(VIEWS)), _rationales(recommender, voice, view, arguments), strict=False)
        for number, (plain, told, written, lasted) in wanted:
            texts.append(written)
            seconds.append(lasted)
            found["other_words"] += told.text != plain.text
            found["do_not_recompute"] += _wrong(recommender, told)
            found["says_more"] += _says_more(told)
            if number < 3:
                examples.append({"plain": plain.text, "written": told.text, "why": written.why or "accepted"})
            if number % 100 == 99:
                print(f"{data.info.name}, {view}: {number + 1:,} {WritingReport.of(texts)}", file=sys.stderr)
    report = WritingReport.of(texts)
    return {
        "rationales": len(texts),
        "accepted": report.accepted,
        "replaced": dict(report.replaced),
        "share_accepted": report.share,
        "in_other_words": found["other_words"],
        "do_not_recompute": found["do_not_recompute"],
        "says_more": found["says_more"],
        "processor_seconds_per_text": {"median": float(np.median(seconds)), "p95": float(np.quantile(seconds, 0.95))},
        "model": dict(voice.frozen.facts),
        "examples": examples,
    }


def _fitted(data: Dataset, arguments: argparse.Namespace) -> Recommender:
    sets = ["language.writes=true", "rerank=none", *arguments.set]
    split = "full" if data.has_order else "holdout"
    options = FitOptions(arguments.device, on_stage=lambda stage: print(f"{data.info.name}: {stage}", file=sys.stderr))
    return fit(data, read_config(None, sets), split=split, seed=arguments.seed, options=options).recommender


def _rationales(
    recommender: Recommender, voice: Voice, view: str, arguments: argparse.Namespace
) -> Iterator[tuple[Rationale, Rationale, Written, float]]:
    """Of what is recommended to users drawn by lot: in plain words, as written, how that went, and seconds."""
    explainer, info = explainer_of(recommender, view), recommender.known.info
    store, rules = explainer.store, explainer.rationale

    def holds(told: Rationale) -> bool:
        return verify(told.as_json(), store, info, rules).holds

    for user in generator(arguments.seed, "whose rationales").permutation(len(recommender.users)).tolist():
        history, name = recommender.known.history(user), recommender.users.decode(user)
        query = Query(history, recommender.now, exclude=np.unique(history.items))
        for item in recommender.system.rank([query], arguments.depth).items[0].tolist():
            if item < 0:
                continue
            plain = write(explainer.explain(query, item, name), store, info, rules, name)
            began = time.process_time()
            told, written = voice.worded(plain, info, holds)
            if written is not None:
                yield plain, told, written, time.process_time() - began


def _wrong(recommender: Recommender, told: Rationale) -> bool:
    problems = verified(recommender, told.as_json()).problems
    for problem in problems:
        print(f"NOT RECOMPUTED {told.user} {told.item}: {problem.text}", file=sys.stderr)
    return bool(problems)


def _says_more(told: Rationale) -> bool:
    """Whether a quoted name, a day or a number stands in the text and not in the facts of a claim."""
    values = [value for claim in told.claims for value in _values(claim.facts)]
    names = {str(value) for value in values}
    numbers = {value for value in values if isinstance(value, int | float)}
    plain = re.sub("“[^”]*”", "", told.text)
    more = [one for one in re.findall("“([^”]*)”", told.text) if one not in names]
    more += [one for one in _DAY.findall(plain) if one not in names]
    plain = _DAY.sub("", plain)
    more += [one for one in re.findall(r"\d[\d,]*(?:\.\d+)?", plain) if _read(one) not in numbers]
    spelled = re.findall(rf"\b({'|'.join(_NUMBER_WORDS)})\b(?! of )", plain)
    more += [one for one in spelled if _NUMBER_WORDS.index(one) + 1 not in numbers]
    for one in more:
        print(f"SAYS MORE {told.user} {told.item}: {one!r} in {told.text!r}", file=sys.stderr)
    return bool(more)


def _read(number: str) -> float:
    return float(number.replace(",", ""))


def _values(facts: Any) -> Iterator[Any]:
    """Every value in a JSON object, and the parts of lists."""
    if isinstance(facts, Mapping):
        for value in facts.values():
            yield from _values(value)
    elif isinstance(facts, list | tuple):
        for value in facts:
            yield from _values(value)
    else:
        yield facts


if __name__ == "__main__":
    main()
