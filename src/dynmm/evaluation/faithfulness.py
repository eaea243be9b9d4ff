"""Is an explanation the reason? What the final score and rank lose without the cited evidence, and with it alone.

Comprehensiveness is what is lost by removing it, sufficiency what is lost by keeping nothing else (DeYoung et al.
2020, section 5); each is held against controls that remove, or keep, as much. Everything is recomputed by the system
after each removal. Two units: facts, and whole history items (as if the user had never taken them).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import EmptyDataError
from dynmm.evaluation.bootstrap import interval, resampled_means
from dynmm.evaluation.controls import CONTROLS, Told, facts_of, items_of
from dynmm.evaluation.curves import curve_losses, curves_json
from dynmm.evaluation.explaining import Asked, Citing, Explainer, Surroundings
from dynmm.evaluation.removals import LOSSES, Removals
from dynmm.evaluation.scores import Resampling, Users, intervals, json_ready
from dynmm.randomness import generator

#: The cited evidence must be worth so many times as much as random evidence of the same user.
BAR = 5.0

CITED = "cited"
MEASURES = ("comprehensiveness", "sufficiency")
UNITS = ("facts", "items")

#: The column of one number: unit, measure, whose evidence, which loss.
Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class FaithfulnessPlan:
    """How much is measured. draws: of each random control, averaged. shares: of the evidence that the curves remove,
    0 to 1. seed: of the controls. how: of the intervals."""

    draws: int = 5
    shares: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    seed: int = 0
    how: Resampling = field(default_factory=Resampling)


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """B explanations that cite something. users: (B,) who asked. columns: (B,) of each number. curves: order -> (B, S)
    score lost at each of the S shares removed. asked: explanations in all; the others cite nothing. facts, cited,
    sources: (B,) facts that can be told, facts cited, history items that they start from."""

    users: NDArray[np.int64]
    columns: dict[Key, NDArray[np.float64]]
    curves: dict[str, NDArray[np.float64]]
    asked: int
    facts: NDArray[np.int64]
    cited: NDArray[np.int64]
    sources: NDArray[np.int64]
    plan: FaithfulnessPlan

    def to_json(self) -> dict[str, Any]:
        """Means with 95 % intervals over users, what cited evidence is worth against each control, and the curves."""
        users = Users(self.users)
        told: dict[str, Any] = {
            "explanations": self.asked,
            "cite_something": len(self.users),
            "users": len(users),
            "draws": self.plan.draws,
            "bar": BAR,
            "mean_facts": float(self.facts.mean()),
            "mean_cited": float(self.cited.mean()),
            "mean_cited_items": float(self.sources.mean()),
        }
        bounds = intervals(list(self.columns.values()), users, self.plan.how)
        for unit in UNITS:
            told[unit] = {measure: {} for measure in MEASURES}
        for (key, column), ci95 in zip(self.columns.items(), bounds, strict=True):
            unit, measure, whose, loss = key
            told[unit][measure].setdefault(whose, {})[loss] = {"mean": users.mean(column), "ci95": list(ci95)}
        for unit in UNITS:
            told[unit]["ratio"] = {
                control: {loss: self.ratio(unit, control, loss) for loss in ("score", "rank")}
                for control in CONTROLS
                if (unit, MEASURES[0], control, "score") in self.columns
            }
        told["curves"] = curves_json(self.curves, self.plan.shares, users, self.plan.how)
        plain: dict[str, Any] = json_ready(told)
        return plain

    def ratio(self, unit: str, control: str, loss: str = "score") -> dict[str, Any]:
        """Mean lost without the cited evidence, over the mean lost without the control's.

        ci95: of the ratio over users, from the same draws for both; infinite (None in JSON) where a control loses
        nothing, nan where neither does. reached: the ratio is at least `BAR`. shown: the lower end of the interval
        of cited - BAR x control is above zero, which needs no division.
        """
        users = Users(self.users)
        cited = self.columns[unit, MEASURES[0], CITED, loss]
        other = self.columns[unit, MEASURES[0], control, loss]
        sums = np.stack([users.sums(cited), users.sums(other), users.sums(cited - BAR * other)], axis=1)
        how = self.plan.how
        draws = resampled_means(sums, users.counts, resamples=how.resamples, seed=how.seed)
        mean, theirs = users.mean(cited), users.mean(other)
        return {
            "ratio": _ratio(mean, theirs),
            "ci95": _bounds([_ratio(ours, control) for ours, control, _ in draws.tolist()]),
            "reached": mean > 0 and mean >= BAR * theirs,
            "shown": bool(interval(draws[:, 2])[0] > 0),
        }


def _ratio(ours: float, theirs: float) -> float:
    if theirs > 0:
        return float(ours / theirs)
    return math.inf if ours > 0 else math.nan


def _bounds(ratios: Sequence[float]) -> list[float]:
    """The middle 95 % of ratios that may be infinite, so nothing is interpolated."""
    known = np.sort([one for one in ratios if not math.isnan(one)])
    if not len(known):
        return [math.nan, math.nan]
    return [float(known[round(share * (len(known) - 1))]) for share in (0.025, 0.975)]


def measure_faithfulness(
    explainer: Explainer,
    cite: Citing,
    asked: Sequence[Asked],
    around: Surroundings,
    plan: FaithfulnessPlan | None = None,
    *,
    progress: Callable[[float], None] | None = None,
) -> Faithfulness:
    """Comprehensiveness, sufficiency and curves of the explanations of these recommendations.

    progress: called with the share that is done. What is drawn for one explanation does not depend on the others.
    Raises EmptyDataError where not one of them cites anything, ValueError for a cited fact that is not part of its
    explanation.
    """
    plan = plan or FaithfulnessPlan()
    rows, curves, explained = [], [], []
    for number, one in enumerate(asked):
        full = explainer.explain(one.query, one.item)
        told = Told.of(one, full, cite(one.query, full))
        if told.cited:
            worst = len(around.counts) if one.query.candidates is None else len(one.query.candidates)
            removals = Removals(explainer, told, worst)
            rows.append(_losses(removals, around, plan))
            curves.append(curve_losses(removals, plan.shares, plan.draws, _generator(told, plan, "curve")))
            explained.append(told)
        if progress is not None:
            progress((number + 1) / len(asked))
    if not rows:
        raise EmptyDataError(f"none of {len(asked):,} explanations cites a fact; there is nothing to remove")
    return Faithfulness(
        users=np.array([one.asked.user for one in explained], dtype=np.int64),
        columns={key: np.array([row[key] for row in rows]) for key in rows[0]},
        curves={order: np.stack([one[order] for one in curves]) for order in curves[0]},
        asked=len(asked),
        facts=np.array([len(one.explained.evidence) for one in explained], dtype=np.int64),
        cited=np.array([len(one.cited) for one in explained], dtype=np.int64),
        sources=np.array([len(one.sources) for one in explained], dtype=np.int64),
        plan=plan,
    )


def _losses(removals: Removals, around: Surroundings, plan: FaithfulnessPlan) -> dict[Key, float]:
    """Every number of one explanation."""
    told = removals.told
    facts: dict[str, list[list[str]]] = {CITED: [[one.id for one in told.cited]]}
    items: dict[str, list[list[int]]] = {CITED: [around.items.encode_known(told.sources).tolist()]}
    for control in CONTROLS:
        times = plan.draws if control.startswith("random") else 1
        rngs = [_generator(told, plan, control, draw) for draw in range(times)]
        facts[control] = [facts_of(control, told, around, rng) for rng in rngs]
        if control != "random facts":
            items[control] = [items_of(control, told, around, rng) for rng in rngs]
    found: dict[Key, float] = {}
    for whose, drawn in facts.items():
        _note(found, ("facts", MEASURES[0], whose), [removals.without_facts(ids) for ids in drawn])
        _note(found, ("facts", MEASURES[1], whose), [removals.with_facts_only(ids) for ids in drawn])
    for whose, sets in items.items():
        _note(found, ("items", MEASURES[0], whose), [removals.without_items(chosen) for chosen in sets])
        _note(found, ("items", MEASURES[1], whose), [removals.with_items_only(chosen) for chosen in sets])
    return found


def _note(found: dict[Key, float], name: tuple[str, str, str], losses: Sequence[Sequence[float]]) -> None:
    """The mean of each loss over the draws."""
    for loss, value in zip(LOSSES, np.mean(losses, axis=0), strict=True):
        found[*name, loss] = float(value)


def _generator(told: Told, plan: FaithfulnessPlan, *names: str | int) -> np.random.Generator:
    return generator(plan.seed, "explanation control", told.asked.user, told.asked.item, *names)
