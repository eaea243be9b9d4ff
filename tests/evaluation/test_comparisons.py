"""Scores to words: averages over seeds and users, verdicts, stars and the ladder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from dynmm.evaluation.comparisons import Comparison, compare, verdict
from dynmm.evaluation.ladder import Table, ladder, order, pairs
from dynmm.evaluation.results import Evaluation
from dynmm.evaluation.scores import Resampling, SystemScores, Users, intervals, json_ready, summary
from dynmm.evaluation.statistics import paired_test

RNG = np.random.default_rng(0)


def scores(name: str, mean: float, n: int = 500, seeds: int = 1, spread: float = 0.1) -> SystemScores:
    values = {metric: mean + spread * RNG.standard_normal((seeds, n)) for metric in ("hit@10", "ndcg@10")}
    return SystemScores(name, values)


def test_seeds_are_averaged_before_anything_else() -> None:
    system = scores("a", 0.5, n=40, seeds=3)
    users = Users(np.arange(40))
    cell = summary([system], users, Resampling())["a"]["hit@10"]
    assert cell["seeds"] == pytest.approx(system.values["hit@10"].mean(axis=1).tolist())
    assert cell["mean"] == pytest.approx(system.values["hit@10"].mean())
    assert tuple(cell["ci95"]) == intervals([system.averaged("hit@10")], users, Resampling())[0]


def test_users_weigh_as_asked() -> None:
    values, users = np.array([1.0, 1.0, 1.0, 0.0]), np.array([7, 7, 7, 3])
    assert Users(users).mean(values) == 0.75
    assert Users(users, "user").mean(values) == 0.5


def test_pseudo_values_have_the_mean_and_the_spread_of_a_ratio() -> None:
    users = np.repeat(np.arange(60), RNG.integers(1, 30, 60))
    values = RNG.random(len(users)) + np.repeat(RNG.random(60), np.bincount(users))
    grouped = Users(users)
    pseudo = grouped.pseudo_values(values)
    assert pseudo.mean() == pytest.approx(grouped.mean(values))
    low, high = intervals([values], grouped, Resampling(4_000))[0]
    assert 2 * 1.96 * pseudo.std(ddof=1) / np.sqrt(60) == pytest.approx(high - low, rel=0.12)


def test_with_one_case_each_pseudo_values_are_the_values() -> None:
    values = RNG.random(30)
    assert Users(np.arange(30)).pseudo_values(values) == pytest.approx(values)


def test_a_comparison_agrees_with_scipy() -> None:
    ours, theirs = scores("a", 0.52), scores("b", 0.5)
    (found, _) = compare([ours, theirs], [("a", "b")], Users(np.arange(500)))
    expected = stats.ttest_rel(ours.values["hit@10"][0], theirs.values["hit@10"][0])
    assert found.test.p == pytest.approx(float(expected.pvalue))
    assert found.difference == pytest.approx(found.test.mean)
    assert found.ci95[0] < found.difference < found.ci95[1]


def test_p_values_are_corrected_over_the_whole_family() -> None:
    group = [scores("a", 0.53), scores("b", 0.5), scores("c", 0.51)]
    found = compare(group, [("a", "b"), ("a", "c")], Users(np.arange(500)))
    assert len(found) == 4
    smallest = min(found, key=lambda one: one.test.p)
    assert smallest.p_holm == pytest.approx(4 * smallest.test.p)


def test_verdicts_in_words() -> None:
    plain = stats.zscore(RNG.standard_normal(400))
    strong, weak = paired_test(0.5 + plain), paired_test(0.12 + plain)
    assert weak.p < 0.05
    assert verdict((0.4, 0.6), strong) == "above"
    assert verdict((-0.6, -0.4), replace(strong, mean=-strong.mean)) == "below"
    assert verdict((-0.1, 0.2), strong) == "no gain"
    assert verdict((0.0, 0.0), paired_test(np.zeros(5))) == "no gain"
    assert verdict((0.01, 0.2), weak) == "underpowered"
    assert verdict((0.1, 0.1), paired_test(np.array([0.1]))) == "underpowered"


def one_comparison(word: str, p_holm: float) -> Comparison:
    (found, _) = compare([scores("a", 0.6), scores("b", 0.5)], [("a", "b")], Users(np.arange(500)))
    return replace(found, verdict=word, p_holm=p_holm)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("word", "p_holm", "star"),
    [("above", 0.01, True), ("above", 0.2, False), ("below", 0.01, True), ("no gain", 0.01, False)],
)
def test_stars(word: str, p_holm: float, star: bool) -> None:
    assert one_comparison(word, p_holm).star is star


def test_an_underpowered_comparison_never_gets_a_star() -> None:
    """Three users with large effects: the interval excludes zero, and yet nothing is claimed."""
    starred = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        ours = SystemScores("a", {"hit@10": 0.3 + 0.3 * rng.standard_normal((1, 3))})
        theirs = SystemScores("b", {"hit@10": np.zeros((1, 3))})
        (found,) = compare([ours, theirs], [("a", "b")], Users(np.arange(3)), metrics=["hit@10"])
        starred += found.star and abs(found.test.mean) < found.test.detectable
        assert found.verdict != "above" or abs(found.test.mean) >= found.test.detectable
    assert starred == 0
    assert not one_comparison("underpowered", 1e-9).star


@pytest.mark.parametrize(
    ("n", "word", "star"), [(2, "underpowered", False), (5, "underpowered", False), (9, "above", True)]
)
def test_few_users_who_all_gain_alike_are_few_users(n: int, word: str, star: bool) -> None:
    ones, zeros = ({metric: np.full((1, n), value) for metric in ("hit@10", "ndcg@10")} for value in (1.0, 0.0))
    (found, _) = compare([SystemScores("a", ones), SystemScores("b", zeros)], [("a", "b")], Users(np.arange(n)))
    assert (found.verdict, found.star) == (word, star)
    assert found.p_holm > 0


def test_a_margin_adds_a_test_for_no_worse() -> None:
    group = [scores("a", 0.5), scores("b", 0.5)]
    found = compare(group, [("a", "b")], Users(np.arange(500)), margin=0.05)
    assert found[0].margin_test is not None
    assert found[0].to_json()["non_inferiority"]["verdict"] == "not inferior"


def test_the_order_of_the_ladder() -> None:
    names = ["popularity", "dynmm", "dynmm/joint", "dynmm/no-text", "dynmm/backbone", "item-knn"]
    rungs, variants, others = order(names)
    assert rungs == ["dynmm/backbone", "dynmm/joint", "dynmm"]
    assert variants == ["dynmm/no-text"]
    assert others == ["popularity", "item-knn"]
    assert pairs(names) == [
        ("dynmm/joint", "dynmm/backbone"),
        ("dynmm", "dynmm/joint"),
        ("dynmm", "dynmm/no-text"),
        ("dynmm", "popularity"),
        ("dynmm", "item-knn"),
    ]


def test_pairs_without_a_rung_or_without_anything() -> None:
    assert pairs(["popularity", "item-knn"]) == [("popularity", "item-knn")]
    assert pairs(["popularity"]) == []
    assert pairs([]) == []


def evaluation(*systems: SystemScores) -> Evaluation:
    return Evaluation("full", "", np.arange(500), systems, 100)


def test_the_ladder_shows_gains_losses_and_no_gain() -> None:
    base = scores("dynmm/backbone", 0.30)
    whole = SystemScores("dynmm", {name: values + 0.0 for name, values in base.values.items()})
    told = evaluation(scores("popularity", 0.1), scores("better", 0.4), whole, base).to_json()
    table = ladder(told)
    rows = {row[0]: row for row in table.rows}
    assert list(rows) == ["dynmm/backbone", "dynmm", "better", "popularity"]
    assert rows["dynmm"][3] == "dynmm - dynmm/backbone"
    assert "no gain" in rows["dynmm"][4]
    assert rows["better"][4].startswith("-0.")
    assert rows["better"][4].endswith("below*")
    assert rows["popularity"][4].endswith("above*")


def test_the_ladder_of_one_system_and_of_strangers() -> None:
    alone = ladder(evaluation(scores("dynmm", 0.3)).to_json())
    assert [row[0] for row in alone.rows] == ["dynmm"]
    strangers = ladder(evaluation(scores("x", 0.3), scores("y", 0.2)).to_json())
    assert [row[3] for row in strangers.rows] == ["", "x - y"]


def test_a_step_that_was_not_compared_is_left_blank() -> None:
    told = evaluation(scores("dynmm", 0.3), scores("popularity", 0.1)).to_json()
    told["systems"]["dynmm/backbone"] = told["systems"]["dynmm"]
    rows = {row[0]: row for row in ladder(told).rows}
    assert rows["dynmm"][3:] == ("", "", "")
    assert rows["popularity"][3] == "dynmm - popularity"


def test_the_highest_rung_shows_the_step_of_the_whole() -> None:
    told = evaluation(scores("dynmm", 0.4), scores("dynmm/evidence", 0.3)).to_json()
    told["systems"]["dynmm/rerank"] = told["systems"]["dynmm"]
    rows = {row[0]: row for row in ladder(told).rows}
    assert list(rows) == ["dynmm/evidence", "+ dynmm/rerank", "dynmm"]
    assert rows["+ dynmm/rerank"][3] == "dynmm - dynmm/evidence"
    assert rows["+ dynmm/rerank"][4].endswith("above*")
    assert rows["dynmm"][3:] == ("", "", "")


def test_tables_as_text_and_markdown() -> None:
    table = Table(("a", "b"), (("1|2", "long"), ("3", "4")), "foot")
    assert table.to_text().splitlines() == ["a    b", "---  ----", "1|2  long", "3    4", "foot"]
    assert table.to_markdown().splitlines()[2] == "| 1\\|2 | long |"


def test_json_ready_says_what_json_cannot() -> None:
    assert json_ready({"a": (np.float64("nan"), np.inf, np.int64(3)), 1: [True, None, "x"]}) == {
        "a": [None, None, 3],
        "1": [True, None, "x"],
    }
