"""Metric values against hand-made examples and against ranx, an independent library."""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm.evaluation.metrics import Targets, metric_names, per_case, pessimistic_ranks
from dynmm.system import PADDING, Rankings


@pytest.fixture(scope="module")
def ranx() -> ModuleType:
    """The library in plain Python: compiling it takes a minute, the lists here are short."""
    importlib.import_module("numba").config.DISABLE_JIT = True
    return importlib.import_module("ranx")


def lists(items: list[list[int]], scores: list[list[float]]) -> Rankings:
    return Rankings(np.array(items, np.int32), np.array(scores, np.float32))


def targets(*cases: list[int]) -> Targets:
    flat = np.array([item for case in cases for item in case], np.int32)
    return Targets.of(flat, np.cumsum([0, *map(len, cases)]))


def test_one_target_by_hand() -> None:
    values = per_case(lists([[4, 7, 1, 9, 2, 3]], [[6, 5, 4, 3, 2, 1]]), targets([1]), cutoffs=(1, 5))
    assert values["hit@1"] == [0.0]
    assert values["hit@5"] == [1.0]
    assert values["recall@5"] == [1.0]
    assert values["ndcg@5"] == pytest.approx([0.5])
    assert values["mrr"] == pytest.approx([1 / 3])


def test_several_targets_by_hand() -> None:
    values = per_case(lists([[4, 7, 1, 9, 2, 3]], [[6, 5, 4, 3, 2, 1]]), targets([4, 9, 8]), cutoffs=(5,))
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert values["hit@5"] == [1.0]
    assert values["recall@5"] == pytest.approx([2 / 3])
    assert values["ndcg@5"] == pytest.approx([(1 + 1 / np.log2(5)) / ideal])
    assert values["mrr"] == [1.0]


def test_ties_count_against_the_model() -> None:
    rankings = lists([[1, 2, 3, 4, 5]], [[9, 8, 8, 8, 1]])
    assert pessimistic_ranks(rankings, targets([2])).tolist() == [4]
    assert pessimistic_ranks(rankings, targets([1])).tolist() == [1]


def test_targets_that_tie_with_one_another_take_different_places() -> None:
    rankings = lists([[1, 2, 3, 4, 5]], [[9, 8, 8, 8, 1]])
    assert sorted(pessimistic_ranks(rankings, targets([2, 4])).tolist()) == [3, 4]


def test_a_constant_scorer_gets_the_worst_rank_and_nothing_from_an_open_list() -> None:
    constant = lists([[1, 2, 3, 4]], [[0, 0, 0, 0]])
    assert pessimistic_ranks(constant, targets([1])).tolist() == [0]
    assert pessimistic_ranks(constant, targets([1]), np.array([True])).tolist() == [4]


def test_a_row_that_ends_in_padding_is_complete() -> None:
    padded = lists([[1, 2, PADDING]], [[5, 5, -np.inf]])
    assert pessimistic_ranks(padded, targets([1])).tolist() == [2]


def test_an_absent_target_scores_nothing() -> None:
    values = per_case(lists([[1, 2]], [[2, 1]]), targets([7]), cutoffs=(1, 2))
    assert all(value.tolist() == [0.0] for value in values.values())


def test_a_repeated_target_counts_once() -> None:
    values = per_case(lists([[1, 2, 3]], [[3, 2, 1]]), targets([1, 1]), cutoffs=(2,))
    assert values["recall@2"] == [1.0]
    assert values["ndcg@2"] == [1.0]


@pytest.mark.parametrize(
    ("rankings", "error", "word"),
    [
        (lists([[1, 2]], [[1, 2]]), ValueError, "increase"),
        (lists([[1, 2]], [[np.nan, 2]]), FloatingPointError, "NaN"),
        (lists([[1, 2], [1, 2]], [[2, 1], [2, 1]]), ValueError, "cases"),
    ],
)
def test_wrong_lists_are_refused(rankings: Rankings, error: type[Exception], word: str) -> None:
    with pytest.raises(error, match=word):
        per_case(rankings, targets([1]))


def test_a_case_without_target_is_refused() -> None:
    with pytest.raises(ValueError, match="no target"):
        targets([1], [])


def test_no_case_gives_empty_columns() -> None:
    values = per_case(
        Rankings(np.empty((0, 9), np.int32), np.empty((0, 9), np.float32)),
        Targets.of(np.empty(0, np.int32), np.zeros(1, np.int64)),
    )
    assert set(values) == set(metric_names())
    assert all(len(value) == 0 for value in values.values())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), most=st.integers(1, 6))
def test_values_agree_with_ranx(ranx: ModuleType, seed: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    n_cases, n_items, depth = 6, 40, 25
    items = np.stack([rng.permutation(n_items)[:depth] for _ in range(n_cases)]).astype(np.int32)
    scores = -np.sort(-rng.permutation(10_000)[: n_cases * depth].reshape(n_cases, depth).astype(np.float32), axis=1)
    wanted = [rng.choice(n_items, size=rng.integers(1, most + 1), replace=False).tolist() for _ in range(n_cases)]
    ours = per_case(Rankings(items, scores), targets(*wanted), complete=np.ones(n_cases, np.bool_))
    qrels = ranx.Qrels({f"q{case}": {f"i{item}": 1 for item in wanted[case]} for case in range(n_cases)})
    ranked = {
        f"q{case}": {f"i{item}": float(score) for item, score in zip(items[case], scores[case], strict=True)}
        for case in range(n_cases)
    }
    theirs = {"hit": "hit_rate", "recall": "recall", "ndcg": "ndcg", "mrr": "mrr"}
    for name, values in ours.items():
        kind, _, cutoff = name.partition("@")
        metric = theirs[kind] + (f"@{cutoff}" if cutoff else "")
        assert values.mean() == pytest.approx(float(ranx.evaluate(qrels, ranx.Run(ranked), metric)), abs=1e-6), name


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_tie_never_helps(seed: int) -> None:
    """Whatever order a system happens to put equal scores in, no order of them would score less."""
    rng = np.random.default_rng(seed)
    n_items, depth = 12, 12
    items = rng.permutation(n_items)[None, :].astype(np.int32)
    scores = -np.sort(-rng.integers(0, 4, size=(1, depth)).astype(np.float32), axis=1)
    wanted = targets(rng.choice(n_items, size=3, replace=False).tolist())
    ours = per_case(Rankings(items, scores), wanted, cutoffs=(3, 5))
    for _ in range(20):
        order = np.lexsort((rng.random(depth), -scores[0]))
        broken = Rankings(items[:, order], -np.arange(depth, dtype=np.float32)[None, :])
        free = per_case(broken, wanted, complete=np.array([True]), cutoffs=(3, 5))
        assert all(ours[name][0] <= free[name][0] + 1e-9 for name in ours)
