"""Paired tests on per-user differences: t, Cohen's d, Holm's correction, power, non-inferiority.

Everything here takes differences (ours less theirs, one per user), since all comparisons share their users.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynmm.types import FloatArray

ALPHA = 0.05
POWER = 0.8

#: Shifts of the noncentral t are cut here: further out every power is 1 to many places.
_FAR = 60.0


@dataclass(frozen=True)
class PairedTest:
    """n: users. mean: mean difference. sd: its standard deviation over users. d: Cohen's d for pairs, mean
    over sd. t, p: two-sided paired t test. power: chance that this test finds a true effect of the observed
    size. detectable: smallest true difference that it finds with a chance of 80 %, in the metric's own units;
    nan where there are fewer than two users, infinite where so few can show nothing."""

    n: int
    mean: float
    sd: float
    d: float
    t: float
    p: float
    power: float
    detectable: float


def paired_test(differences: FloatArray, *, alpha: float = ALPHA) -> PairedTest:
    """The two-sided paired t test of (U,) differences against zero.

    Differences that are all the same have no spread, and a t test no scale. p is 1 where they are zero, else that
    of the exact sign test, 2^(1-n): two users who gain alike are two users. d is zero or infinite.
    """
    n = len(differences)
    mean = float(np.mean(differences)) if n else math.nan
    if n < 2:
        return PairedTest(n, mean, math.nan, math.nan, math.nan, 1.0, math.nan, math.nan)
    sd = float(np.std(differences, ddof=1))
    if _is_none(sd, mean):
        return _without_spread(n, mean, alpha)
    d = mean / sd
    t = d * math.sqrt(n)
    return PairedTest(n, mean, sd, d, t, _two_sided(t, n - 1), power_of(d, n, alpha), sd * detectable_d(n, alpha))


def _is_none(sd: float, mean: float) -> bool:
    return sd <= 1e-12 * max(1.0, abs(mean))


def _without_spread(n: int, mean: float, alpha: float) -> PairedTest:
    if abs(mean) <= 1e-12:
        return PairedTest(n, mean, 0.0, 0.0, 0.0, 1.0, alpha, 0.0)
    endless, p = math.copysign(math.inf, mean), 2.0 ** (1 - n)
    power, detectable = (1.0, 0.0) if p <= alpha else (0.0, math.inf)
    return PairedTest(n, mean, 0.0, endless, endless, p, power, detectable)


def _two_sided(t: float, df: int) -> float:
    from scipy import stats

    return float(2.0 * stats.t.sf(abs(t), df))


def power_of(d: float, n: int, alpha: float = ALPHA) -> float:
    """The chance that a two-sided paired t test with n users finds a true effect of d standard deviations.

    From the noncentral t distribution (Cohen 1988, chapter 2).
    """
    from scipy import stats

    df, shift = n - 1, abs(d) * math.sqrt(n)
    critical = float(stats.t.isf(alpha / 2.0, df))
    right_side = float(stats.nct.sf(critical, df, min(shift, _FAR)))
    # Beyond this the wrong side weighs less than 1e-10, and scipy's tail there loses its digits.
    wrong_side = float(stats.nct.cdf(-critical, df, shift)) if shift < 5.0 else 0.0
    return right_side + wrong_side


def detectable_d(n: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """The effect, in standard deviations, that n users find with the given power."""
    from scipy import optimize, stats

    near = float(stats.t.isf(alpha / 2.0, n - 1) + stats.t.isf(1.0 - power, n - 1)) / math.sqrt(n)
    high = near
    while power_of(high, n, alpha) < power:
        high *= 2.0
    return float(optimize.brentq(lambda d: power_of(d, n, alpha) - power, 0.0, high, xtol=1e-6))


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """(N,) p-values adjusted for N tests at once, by the step-down method of Holm (1979)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


@dataclass(frozen=True)
class NonInferiority:
    """margin: the loss that would still be accepted, positive. mean: mean difference. lower: one-sided bound
    on it at `level`. p: of the one-sided t test against a loss of `margin` or more. power: chance to show
    non-inferiority where the truth is no difference. verdict: `not inferior`, `inferior` where the upper
    bound lies below the margin too, else `not shown`."""

    margin: float
    mean: float
    lower: float
    level: float
    p: float
    power: float
    verdict: str


def non_inferiority(differences: FloatArray, margin: float, *, alpha: float = ALPHA) -> NonInferiority:
    """One-sided paired t test that ours loses less than `margin` (in the metric's units) to theirs.

    Differences that are all the same have no spread. Then the bounds are exact: of users like those that were not
    seen there may be 1 - alpha^(1/n), about 3/n, and a metric can differ by 1. Where a few users differ, the t test
    stands, and its bound is somewhat too close.
    Raises ValueError for a margin that is not positive: "no worse by nothing" cannot be shown.
    """
    from scipy import stats

    if not margin > 0:
        raise ValueError(f"a non-inferiority margin must be positive, not {margin}")
    n = len(differences)
    mean = float(np.mean(differences)) if n else math.nan
    if n < 2:
        return NonInferiority(margin, mean, -math.inf, 1 - alpha, 1.0, math.nan, "not shown")
    sd = float(np.std(differences, ddof=1))
    if _is_none(sd, mean):
        return _not_inferior_without_spread(n, mean, margin, alpha)
    error = sd / math.sqrt(n)
    reach = float(stats.t.isf(alpha, n - 1)) * error
    p = float(stats.t.sf((mean + margin) / error, n - 1))
    power = float(stats.nct.sf(float(stats.t.isf(alpha, n - 1)), n - 1, min(margin / error, _FAR)))
    return NonInferiority(
        margin, mean, mean - reach, 1 - alpha, p, power, _in_words(mean - reach, mean + reach, margin)
    )


def _not_inferior_without_spread(n: int, mean: float, margin: float, alpha: float) -> NonInferiority:
    unseen = 1.0 - alpha ** (1.0 / n)
    lower, upper = mean - unseen * (1.0 + mean), mean + unseen * (1.0 - mean)
    # The share of users who would have to lose 1, so that the whole loses the margin.
    needed = (mean + margin) / (1.0 + mean) if mean > -margin else 0.0
    p = max(0.0, 1.0 - needed) ** n
    power = float(unseen < margin)
    return NonInferiority(margin, mean, lower, 1 - alpha, p, power, _in_words(lower, upper, margin))


def _in_words(lower: float, upper: float, margin: float) -> str:
    return "not inferior" if lower > -margin else "inferior" if upper < -margin else "not shown"
