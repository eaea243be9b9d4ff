"""Intervals, tests and corrections against scipy and against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dynmm.evaluation.bootstrap import interval, resampled_means
from dynmm.evaluation.statistics import detectable_d, holm, non_inferiority, paired_test, power_of


def differences(n: int, mean: float = 0.1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 0.5, n)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(3, 200), mean=st.floats(-1, 1))
def test_paired_t_agrees_with_scipy(seed: int, n: int, mean: float) -> None:
    ours = paired_test(values := differences(n, mean, seed))
    theirs = stats.ttest_rel(values, np.zeros(n))
    assert ours.t == pytest.approx(float(theirs.statistic))
    assert ours.p == pytest.approx(float(theirs.pvalue), abs=1e-12)
    assert ours.d == pytest.approx(values.mean() / values.std(ddof=1))


def test_equal_differences_have_no_spread() -> None:
    assert paired_test(np.zeros(50)).p == 1.0
    assert paired_test(np.full(50, 0.1)).p < 1e-14


@pytest.mark.parametrize("n", [2, 3, 5, 6, 40])
def test_without_spread_p_is_that_of_the_sign_test(n: int) -> None:
    for mean in (1.0, -0.1):
        test = paired_test(np.full(n, mean))
        assert test.p == pytest.approx(stats.binomtest(n, n).pvalue)
        found = test.p <= 0.05
        assert (abs(test.mean) < test.detectable, test.power) == (not found, float(found))


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_users_say_so(n: int) -> None:
    test = paired_test(np.ones(n))
    assert test.p == 1.0
    assert np.isnan(test.detectable)


def test_power_agrees_with_simulation() -> None:
    rng = np.random.default_rng(1)
    p = np.asarray(stats.ttest_1samp(rng.normal(0.3, 1.0, size=(4_000, 60)), 0.0, axis=1).pvalue)
    assert power_of(0.3, 60) == pytest.approx(float(np.mean(p < 0.05)), abs=0.025)


@pytest.mark.parametrize("n", [3, 10, 600, 30_000])
def test_the_detectable_effect_is_found_in_four_of_five_cases(n: int) -> None:
    assert power_of(detectable_d(n), n) == pytest.approx(0.8, abs=1e-3)


def test_power_far_out_is_one() -> None:
    assert power_of(3.0, 10_000) == 1.0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_agrees_with_its_definition(p_values: list[float]) -> None:
    ours = holm(p_values)
    left = sorted(range(len(p_values)), key=lambda place: p_values[place])
    highest = 0.0
    for step, place in enumerate(left):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - step)))
        assert ours[place] == pytest.approx(highest)


def test_bootstrap_interval_agrees_with_scipy() -> None:
    values = differences(300)
    low, high = interval(resampled_means(values[:, None], resamples=4_000, seed=3))[:, 0]
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4_000, method="percentile", rng=5).confidence_interval
    assert low == pytest.approx(theirs.low, abs=0.01)
    assert high == pytest.approx(theirs.high, abs=0.01)


def test_bootstrap_resamples_every_column_alike() -> None:
    values = differences(100)
    means = resampled_means(np.stack([values, 2 * values], axis=1), resamples=50)
    assert means[:, 1] == pytest.approx(2 * means[:, 0])
    assert resampled_means(values[:, None], resamples=50)[:, 0] == pytest.approx(means[:, 0])


def test_bootstrap_does_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    values = differences(70)[:, None]
    whole = resampled_means(values, resamples=40)
    monkeypatch.setattr("dynmm.evaluation.bootstrap._BLOCK_WEIGHTS", 200)
    assert resampled_means(values, resamples=40) == pytest.approx(whole)


def test_bootstrap_keeps_a_users_cases_together() -> None:
    """One user with most cases widens the interval, as it would not if cases were drawn alone."""
    rng = np.random.default_rng(0)
    counts = np.ones(50)
    counts[0] = 500
    sums = rng.integers(0, 2, 50) * counts
    low, high = interval(resampled_means(sums[:, None], counts, seed=1))[:, 0]
    assert high - low > 0.3


def test_bootstrap_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for trial in range(200):
        low, high = interval(resampled_means(rng.normal(0.2, 1, 80)[:, None], resamples=300, seed=trial))[:, 0]
        covered += low <= 0.2 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_non_inferiority_agrees_with_scipy() -> None:
    values = differences(120, mean=-0.01)
    ours = non_inferiority(values, 0.1)
    theirs = stats.ttest_1samp(values, -0.1, alternative="greater")
    assert ours.p == pytest.approx(float(theirs.pvalue))
    assert ours.lower == pytest.approx(float(theirs.confidence_interval(0.95).low))
    assert (ours.verdict == "not inferior") == (ours.p < 0.05)


def test_non_inferiority_in_words() -> None:
    assert non_inferiority(differences(4_000, 0.0), 0.1).verdict == "not inferior"
    assert non_inferiority(differences(4_000, -0.3), 0.1).verdict == "inferior"
    assert non_inferiority(differences(8, -0.1), 0.1).verdict == "not shown"
    assert non_inferiority(np.zeros(1), 0.1).verdict == "not shown"
    assert non_inferiority(np.zeros(0), 0.1).verdict == "not shown"
    with pytest.raises(ValueError, match="positive"):
        non_inferiority(differences(10), 0.0)


def test_non_inferiority_without_spread_asks_how_many_users_could_be_unseen() -> None:
    """No user lost: as many as the binomial bound allows may still do so, each as much as a metric can."""
    for n in (2, 30, 400, 1_600):
        shown = non_inferiority(np.zeros(n), 0.002)
        assert shown.lower == pytest.approx(-stats.binomtest(0, n, alternative="less").proportion_ci(0.95).high)
        assert shown.p == pytest.approx((1 - 0.002) ** n)
        assert shown.verdict == ("not inferior" if shown.p < 0.05 else "not shown")
        assert shown.power == float(shown.p < 0.05)
    assert non_inferiority(np.full(1_600, -0.004), 0.002).verdict == "inferior"
    assert non_inferiority(np.full(400, -0.004), 0.002).verdict == "not shown"
    assert non_inferiority(np.full(30, 0.3), 0.002).verdict == "not inferior"
    assert non_inferiority(np.full(30, -1.0), 0.002).verdict == "inferior"


def test_a_loss_of_the_margin_is_rarely_called_none() -> None:
    rng = np.random.default_rng(0)
    for n in (13, 30, 100):
        lost = [-(rng.random(n) < 0.01).astype(float) for _ in range(500)]
        assert np.mean([non_inferiority(one, 0.002).verdict == "not inferior" for one in lost]) <= 0.05
