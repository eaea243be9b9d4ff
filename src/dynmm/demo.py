"""The first ten minutes: fit, measure, recommend, and a report that tells what came out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dynmm.assembly import WHOLE, FitOptions, Fitted, check_target, fit, save
from dynmm.evaluation.figures import Curve
from dynmm.evaluation.report import Example, ReportData, write_report
from dynmm.interactions.dataset import Dataset
from dynmm.measurement import evaluate
from dynmm.recommender import Recommender
from dynmm.simulation import WorldConfig, simulate

REPORT = "report.html"
RUN = "run"

#: How many users the report recommends for, and how much of their history it shows.
USERS, SHOWN = 3, 5

#: A world that fits in a minute, with enough to learn.
WORLD = {"users": 1_500, "items": 600, "events": 40_000}


@dataclass(frozen=True)
class Demo:
    """What the demo made. result: JSON of the evaluation. examples: what the report shows of three users."""

    fitted: Fitted
    result: Mapping[str, Any]
    examples: tuple[Example, ...]
    report: Path
    run: Path
    seconds: float


def run_demo(
    out: Path,
    data: Path | None,
    *,
    seed: int = 0,
    options: FitOptions | None = None,
    told: Callable[[str], None] | None = None,
) -> Demo:
    """Everything into the folder `out`: the run and `report.html`. data: a canonical folder, None simulates one."""
    began = time.perf_counter()
    check_target(out / RUN)
    dataset = Dataset.load(data) if data is not None else simulate(WorldConfig.model_validate(WORLD), seed).dataset()
    fitted = fit(dataset, None, split="full", seed=seed, options=options)
    save(fitted.recommender, out / RUN)
    result = evaluate(fitted.recommender, "full", told=told)
    examples = tuple(_example(fitted.recommender, user) for user in _typical_users(fitted))
    command = "dynmm demo" + (f" --data {data}" if data is not None else "") + f" --seed {seed} --out {out}"
    write_report(out / REPORT, _report(fitted, result, examples, command))
    return Demo(fitted, result, examples, out / REPORT, out / RUN, time.perf_counter() - began)


def _typical_users(fitted: Fitted) -> list[str]:
    """Three users spread over the middle half of history lengths: neither new nor tireless."""
    known = fitted.recommender.known
    lengths = np.diff(known.offsets)
    order = np.lexsort((np.arange(len(lengths)), lengths))
    order = order[lengths[order] > 0]
    places = np.linspace(0.25, 0.75, USERS) * (len(order) - 1)
    return [known.users.decode(int(order[int(place)])) for place in places]


def _example(recommender: Recommender, user: str) -> Example:
    newest = recommender.history(user)[::-1][:SHOWN]
    names = [recommender.title(item) or item for item in newest]
    return Example(user, names, [one.title or one.item for one in recommender.recommend(user, SHOWN)])


def _report(fitted: Fitted, result: Mapping[str, Any], examples: tuple[Example, ...], command: str) -> ReportData:
    info, counts = fitted.split.source.info, fitted.split.counts
    curve = [one for one in fitted.curve if one.validation is not None]
    return ReportData(
        title=f"dynmm on {info.name}",
        summary=summary(result, info.noun),
        data={
            "users": counts["users"],
            f"items (each a {info.noun})": counts["items"],
            "events": counts["events"],
            "held out for the test": counts["test events"],
            "split": fitted.split.description,
            "left out": "; ".join(fitted.split.notes) or "nothing",
            "licence": info.licence or "not stated",
        },
        results=[result],
        item_counts=fitted.split.source.item_counts(),
        training=[Curve("backbone", [one.epoch for one in curve], [one.validation or 0.0 for one in curve])],
        examples=examples,
        reproduce=[command],
        noun=info.noun,
        verb=info.verb,
    )


def summary(result: Mapping[str, Any], noun: str) -> list[str]:
    """What came out, in sentences that hold whichever way it went."""
    systems = result["systems"]
    ours = systems[WHOLE]["ndcg@10"]
    low, high = ours["ci95"]
    others = {name: cell for name, cell in systems.items() if not name.startswith(WHOLE)}
    sentences = [
        f"For each of {result['users']:,} users the last {noun} was held out. Every system ranked the whole catalogue "
        f"less the user's history. {WHOLE} has NDCG@10 {ours['mean']:.4f} (95 % interval {low:.4f} to {high:.4f})."
    ]
    if others:
        best = max(others, key=lambda name: others[name]["ndcg@10"]["mean"])
        found = next(one for one in result["comparisons"] if one["theirs"] == best and one["metric"] == "ndcg@10")
        a, b = found["ci95"]
        sentences.append(
            f"The best comparison system is {best} with {others[best]['ndcg@10']['mean']:.4f}. The difference of "
            f"{WHOLE} to it is {found['difference']:+.4f} (95 % interval {a:+.4f} to {b:+.4f}): {found['verdict']}."
        )
    return sentences
