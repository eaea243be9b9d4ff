"""Everything that the demo does, one after the other."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dynmm.assembly import WHOLE, FitOptions, Fitted, check_target, fit, save
from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import AUDIO, IMAGE
from dynmm.demo.reasoning import checked, example
from dynmm.demo.sensing import search
from dynmm.demo.telling import nothing_to_sense, sensed
from dynmm.demo.worlds import Newcomers, world_with_newcomers
from dynmm.evaluation.examples import Example
from dynmm.evaluation.figures import Curve
from dynmm.evaluation.report import ReportData, write_report
from dynmm.evaluation.sensed import Sensed
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.fields import ITEM
from dynmm.measurement import evaluate
from dynmm.rationale.words import Words

REPORT = "report.html"
RUN = "run"

#: How many users the report recommends for.
USERS = 3

#: Texts are read as hashed words whatever is installed, so that the demo prints the same everywhere.
CONFIG: Mapping[str, Mapping[str, Any]] = {"encoders": {"text": "hashed-words"}, "language": {"pretrain_seconds": 45.0}}

#: With data of one's own, some tens of times the simulated world, both trained stages stop early: a demo is short,
#: and each of them is fitted twice.
SHORT: Mapping[str, Mapping[str, Any]] = {"backbone": {"epochs": 10}, "fusion": {"epochs": 4}}


@dataclass(frozen=True)
class Demo:
    """What the demo made.

    result: JSON of the evaluation. examples: what the report shows of three users. checked: a sentence on how the
    claims in them were checked. sensed: what pictures and sounds explain, one for each of the two that the run knows;
    a word on it where it knows neither.
    """

    fitted: Fitted
    result: Mapping[str, Any]
    examples: tuple[Example, ...]
    checked: str
    sensed: tuple[Sensed, ...]
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
    dataset, new = _data(data, seed)
    config = with_voice(CONFIG if data is None else shortened(CONFIG), told)
    fitted = fit(dataset, config, split="full", seed=seed, options=options)
    recommender = fitted.recommender
    result = evaluate(recommender, "full", told=told)
    if new is not None:
        recommender.add_items(new.items, new.media, cache=None if options is None else options.cache)
    save(recommender, out / RUN)
    if told is not None:
        told("recommending, and recomputing every claim")
    examples = tuple(example(recommender, user) for user in _typical_users(fitted))
    held = checked(recommender, examples)
    explained = _sensed(fitted, new, told)
    command = "dynmm demo" + (f" --data {data}" if data is not None else "") + f" --seed {seed} --out {out}"
    page = replace(_report(fitted, result, command), examples=examples, checked=held, sensed=explained)
    write_report(out / REPORT, page)
    return Demo(fitted, result, examples, held, explained, out / REPORT, out / RUN, time.perf_counter() - began)


def with_voice(
    config: Mapping[str, Mapping[str, Any]], told: Callable[[str], None] | None = None
) -> dict[str, Mapping[str, Any]]:
    """The same configuration with a language model that words the reasons, where its libraries are installed."""
    if any(importlib.util.find_spec(name) is None for name in ("llguidance", "tokenizers", "transformers")):
        if told is not None:
            told("no language model words the reasons: that takes pip install 'dynmm[llm]'")
        return dict(config)
    return {**config, "language": {"writes": True, **config.get("language", {})}}


def shortened(config: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The same configuration with fewer epochs, where it leaves them to the data."""
    return {**config, **{name: {**few, **config.get(name, {})} for name, few in SHORT.items()}}


def _data(folder: Path | None, seed: int) -> tuple[Dataset, Newcomers | None]:
    if folder is not None:
        return Dataset.load(folder), None
    new = world_with_newcomers(seed)
    return new.data, new


def _sensed(fitted: Fitted, new: Newcomers | None, told: Callable[[str], None] | None) -> tuple[Sensed, ...]:
    """What pictures and sounds explain, or why there is nothing to explain."""
    if told is not None:
        told("looking for what a picture or a sound explains")
    catalogues = [Catalogue.of(fitted.split.source)]
    if new is not None:
        catalogues.append(Catalogue.from_frames(new.items, new.media))
    truth = None if new is None else new.owed_to
    # People tell most of what they have taken already: what a picture alone explains shows where nobody has.
    found = search(fitted.recommender, (IMAGE, AUDIO), None if new is None else new.items[ITEM].to_list())
    if not found:
        words = Words.of(fitted.split.source.info)
        unread = any(one.media is not None for one in catalogues)
        return (nothing_to_sense(words.noun, simulated=new is not None, unread=unread),)
    return tuple(sensed(fitted.recommender, one, catalogues, truth) for one in found)


def _typical_users(fitted: Fitted) -> list[str]:
    """Three users spread over the middle half of history lengths: neither new nor tireless."""
    known = fitted.recommender.known
    lengths = np.diff(known.offsets)
    order = np.lexsort((np.arange(len(lengths)), lengths))
    order = order[lengths[order] > 0]
    places = np.linspace(0.25, 0.75, USERS) * (len(order) - 1)
    return [known.users.decode(int(order[int(place)])) for place in places]


def _report(fitted: Fitted, result: Mapping[str, Any], command: str) -> ReportData:
    """What the report tells of the data and of the measurement."""
    info, counts = fitted.split.source.info, fitted.split.counts
    curves = [
        Curve(stage, [one.epoch for one in seen], [one.validation or 0.0 for one in seen])
        for stage, epochs in fitted.curves.items()
        if (seen := [one for one in epochs if one.validation is not None])
    ]
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
        training=curves,
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
