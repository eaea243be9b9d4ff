"""What systems scored, case by case, and its mean with an interval over users.

Shapes: S seeds, B cases, U users.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dynmm.evaluation.bootstrap import RESAMPLES, interval, resampled_means
from dynmm.types import FloatArray, IntArray

#: `case`: every case counts the same, cases of a user are resampled together. `user`: every user does.
Weighting = Literal["case", "user"]


@dataclass(frozen=True, eq=False)
class SystemScores:
    """name: as in every table. values: metric -> (S, B) float64, one row per seed of the system."""

    name: str
    values: Mapping[str, FloatArray]

    @property
    def metrics(self) -> list[str]:
        return list(self.values)

    def averaged(self, metric: str) -> FloatArray:
        """(B,) the mean over seeds."""
        return np.asarray(self.values[metric].mean(axis=0))

    def seed_means(self, metric: str, users: Users) -> list[float]:
        """The mean of each seed."""
        return [users.mean(row) for row in self.values[metric]]

    @classmethod
    def of_seeds(cls, name: str, runs: Sequence[Mapping[str, FloatArray]]) -> SystemScores:
        """From one measurement per seed. Raises ValueError where there is none."""
        if not runs:
            raise ValueError(f"system {name!r} has no run to average")
        return cls(name, {metric: np.stack([run[metric] for run in runs]) for metric in runs[0]})


class Users:
    """Who asked: turns values of cases into sums, means and pseudo-values of users."""

    def __init__(self, users: IntArray, weighting: Weighting = "case") -> None:
        """users: (B,) the user of each case."""
        self._distinct, self._of_case = np.unique(users, return_inverse=True)
        self._cases = np.bincount(self._of_case, minlength=len(self._distinct)).astype(np.float64)
        self.weighting: Weighting = weighting

    def __len__(self) -> int:
        return len(self._distinct)

    @property
    def counts(self) -> FloatArray:
        """(U,) what each user's sum is divided by: its cases, or one where users count the same."""
        return self._cases if self.weighting == "case" else np.ones_like(self._cases)

    def sums(self, values: FloatArray) -> NDArray[np.float64]:
        """(U,) sum of (B,) values over each user's cases, or their mean where users count the same."""
        sums = np.bincount(self._of_case, weights=values, minlength=len(self))
        return np.asarray(sums if self.weighting == "case" else sums / self._cases, dtype=np.float64)

    def mean(self, values: FloatArray) -> float:
        """The mean of (B,) values; nan without any case."""
        return float(self.sums(values).sum() / self.counts.sum()) if len(self) else math.nan

    def pseudo_values(self, values: FloatArray) -> NDArray[np.float64]:
        """(U,) one value per user whose mean is the mean and whose spread is that of the mean, times U.

        With one case per user these are the values. With several the mean is a ratio of sums, and this is its
        linearisation: mean + (sum_u - mean n_u) U / B (Cochran 1977, section 6.4).
        """
        sums, counts = self.sums(values), self.counts
        mean = sums.sum() / counts.sum()
        return np.asarray(mean + (sums - mean * counts) * (len(self) / counts.sum()))


@dataclass(frozen=True)
class Resampling:
    """How intervals are drawn. resamples: how often. seed: of the draws, not of any system."""

    resamples: int = RESAMPLES
    seed: int = 0


def intervals(columns: Sequence[FloatArray], users: Users, how: Resampling) -> list[tuple[float, float]]:
    """The 95 % interval over users of the mean of each (B,) column, all from the same draws."""
    if not len(users) or not columns:
        return [(math.nan, math.nan)] * len(columns)
    sums = np.stack([users.sums(column) for column in columns], axis=1)
    low, high = interval(resampled_means(sums, users.counts, resamples=how.resamples, seed=how.seed))
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def summary(systems: Sequence[SystemScores], users: Users, how: Resampling) -> dict[str, dict[str, dict[str, Any]]]:
    """{system: {metric: {"mean", "ci95", "seeds"}}}; the interval is over users, of seed-averaged values."""
    keys = [(system, metric) for system in systems for metric in system.metrics]
    bounds = intervals([system.averaged(metric) for system, metric in keys], users, how)
    table: dict[str, dict[str, dict[str, Any]]] = {system.name: {} for system in systems}
    for (system, metric), (low, high) in zip(keys, bounds, strict=True):
        mean = users.mean(system.averaged(metric))
        table[system.name][metric] = {"mean": mean, "ci95": [low, high], "seeds": system.seed_means(metric, users)}
    return table


def means(systems: Sequence[SystemScores], users: Users) -> dict[str, dict[str, float]]:
    """{system: {metric: mean}}, seed-averaged."""
    return {one.name: {metric: users.mean(one.averaged(metric)) for metric in one.metrics} for one in systems}


def chosen_cases(system: SystemScores, rows: NDArray[np.bool_]) -> SystemScores:
    """The same system on the cases where `rows`, a (B,) mask, is set."""
    return SystemScores(system.name, {metric: values[:, rows] for metric, values in system.values.items()})


def json_ready(value: Any) -> Any:
    """The same value with what JSON cannot say (nan, infinities, NumPy numbers) put in its terms."""
    if isinstance(value, Mapping):
        return {str(key): json_ready(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
