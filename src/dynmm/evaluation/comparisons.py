"""One system against another on the same users: the difference, its interval, tests and a verdict in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from dynmm.evaluation.scores import Resampling, SystemScores, Users, intervals
from dynmm.evaluation.statistics import ALPHA, NonInferiority, PairedTest, holm, non_inferiority, paired_test

#: The metrics on which systems are compared; more of them would only weaken the correction.
COMPARED = ("hit@10", "ndcg@10")

Verdict = Literal["above", "below", "no gain", "underpowered"]


@dataclass(frozen=True)
class Comparison:
    """`ours` less `theirs` on one metric.

    ci95: bootstrap interval of the difference over users. test: paired t on the same differences. p_holm: its
    p corrected for every comparison of the evaluation. verdict: `no gain` where the interval covers zero;
    `underpowered` where it does not, but the difference is smaller than what this many users find in 4 of 5
    cases, so that what was found is luck or exaggerated; else `above` or `below`. margin test: None unless a
    margin was given.
    """

    ours: str
    theirs: str
    metric: str
    mean_ours: float
    mean_theirs: float
    ci95: tuple[float, float]
    test: PairedTest
    p_holm: float
    verdict: Verdict
    margin_test: NonInferiority | None = None

    @property
    def difference(self) -> float:
        return self.mean_ours - self.mean_theirs

    @property
    def star(self) -> bool:
        """Significant after correction; never for an underpowered comparison."""
        return self.verdict in ("above", "below") and self.p_holm < ALPHA

    def to_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "ours": self.ours,
            "theirs": self.theirs,
            "metric": self.metric,
            "difference": self.difference,
            "relative": self.difference / self.mean_theirs if self.mean_theirs else math.nan,
            "ci95": list(self.ci95),
            "verdict": self.verdict,
            "significant": self.star,
            "users": self.test.n,
            "t": self.test.t,
            "p": self.test.p,
            "p_holm": self.p_holm,
            "cohens_d": self.test.d,
            "power": self.test.power,
            "detectable": self.test.detectable,
        }
        if self.margin_test is not None:
            told["non_inferiority"] = dict(vars(self.margin_test))
        return told


def compare(
    systems: Sequence[SystemScores],
    pairs: Sequence[tuple[str, str]],
    users: Users,
    *,
    metrics: Sequence[str] = COMPARED,
    how: Resampling | None = None,
    margin: float | None = None,
) -> list[Comparison]:
    """Every pair (ours, theirs) on every metric; one Holm family. Values are averaged over seeds first.

    margin: the loss in the metric's units that a non-inferiority test accepts, None for no such test.
    """
    by_name = {system.name: system for system in systems}
    keys = [(ours, theirs, metric) for ours, theirs in pairs for metric in metrics]
    if not len(users):
        return []
    columns = [by_name[ours].averaged(metric) - by_name[theirs].averaged(metric) for ours, theirs, metric in keys]
    bounds = intervals(columns, users, how or Resampling())
    found = []
    for (ours, theirs, metric), column, ci95 in zip(keys, columns, bounds, strict=True):
        differences = users.pseudo_values(column)
        test = paired_test(differences)
        averages = [users.mean(by_name[name].averaged(metric)) for name in (ours, theirs)]
        margin_test = None if margin is None else non_inferiority(differences, margin)
        word = verdict(ci95, test)
        found.append(Comparison(ours, theirs, metric, averages[0], averages[1], ci95, test, 1.0, word, margin_test))
    corrected = holm([one.test.p for one in found])
    return [replace(one, p_holm=float(p)) for one, p in zip(found, corrected, strict=True)]


def verdict(ci95: tuple[float, float], test: PairedTest) -> Verdict:
    """The word for a difference, from its interval and what so many users could have found."""
    low, high = ci95
    if test.n < 2:
        return "underpowered"
    if low <= 0.0 <= high:
        return "no gain"
    if abs(test.mean) < test.detectable:
        return "underpowered"
    return "above" if test.mean > 0 else "below"
