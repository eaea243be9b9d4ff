"""Exams and their runs: who is a candidate, what is counted apart, and the JSON that comes out."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evaluation.fakes import Counting, CountingHistory, Fixed, cases, dataset, random_rows

from dynmm.errors import EmptyDataError, ProtocolMismatch
from dynmm.evaluation.metrics import metric_names
from dynmm.evaluation.protocols import Exam, cold, exams, full, run, run_all, sampled
from dynmm.evaluation.ranking import Pool, chosen, measure
from dynmm.interactions.candidates import draw_candidates
from dynmm.interactions.splits import Split, SplitConfig, make_split
from dynmm.system import Query, System
from dynmm.types import UserHistory

TRAIN = dataset([(0, 0, 1), (0, 1, 2), (1, 1, 3), (2, 2, 4)], n_items=6)


def only(exam: Exam, system: System) -> dict[str, list[float]]:
    return {name: values[0].tolist() for name, values in run(exam, {"one": [system]}).systems[0].values.items()}


def test_the_history_is_no_candidate() -> None:
    asked = cases([[5, 4], [3]], [[2], [5]])
    values = only(full(TRAIN, asked), Fixed(np.arange(6)))
    assert values["mrr"] == [0.5, 1.0]


def test_a_target_in_the_history_is_a_miss_and_told_apart() -> None:
    exam = full(TRAIN, cases([[5, 4], [3], []], [[5], [3, 2], [4]]))
    assert only(exam, Fixed(np.arange(6)))["hit@5"] == [0.0, 1.0, 1.0]
    assert exam.apart is not None
    apart = {name: rows.tolist() for name, rows in exam.apart.items()}
    assert apart["target_in_history"] == [True, True, False]
    assert apart["empty_history"] == [False, False, True]
    assert apart["target_unseen"] == [True, True, True]


def test_groups_apart_of_a_slice_of_cases() -> None:
    every = cases([[5, 4], [3], []], [[5], [1], [4]])
    exam = full(TRAIN, chosen(every, np.array([False, True, True])))
    assert exam.apart is not None
    assert exam.apart["empty_history"].tolist() == [False, True]
    assert exam.apart["target_unseen"].tolist() == [False, True]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_chunks_change_nothing(seed: int, chunk: int) -> None:
    rng = np.random.default_rng(seed)
    histories = [rng.integers(0, 30, rng.integers(0, 6)).tolist() for _ in range(8)]
    targets = [rng.choice(30, rng.integers(1, 4), replace=False).tolist() for _ in range(8)]
    asked, system = cases(histories, targets), CountingHistory()
    system.fit(dataset(random_rows(80, 10, 30), n_items=30))
    whole = measure(system, asked, Pool(30))
    parts = measure(system, asked, Pool(30), chunk=chunk)
    assert all(whole[name].tolist() == parts[name].tolist() for name in metric_names())


def test_cases_are_chosen_whole() -> None:
    every = cases([[1, 2], [3], [], [4, 5, 6]], [[7], [8, 9], [1], [2]])
    some = chosen(every, np.array([False, True, False, True]))
    assert [some.history(case).items.tolist() for case in range(2)] == [[3], [4, 5, 6]]
    assert [some.targets(case).tolist() for case in range(2)] == [[8, 9], [2]]
    assert some.users.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("query", "depth", "complete"),
    [
        (Query(UserHistory(), exclude=np.array([1, 1, 1, 2], np.int32)), 4, True),
        (Query(UserHistory(), exclude=np.array([1, 1, 1, 2], np.int32)), 3, False),
        (Query(UserHistory(), candidates=np.array([1, 3], np.int32)), 2, True),
        (Query(UserHistory(), candidates=np.array([1, 3, 4], np.int32), exclude=np.array([4, 5], np.int32)), 2, True),
        (Query(UserHistory(), candidates=np.array([1, 3, 4], np.int32), exclude=np.array([5], np.int32)), 2, False),
        (Query(UserHistory()), 5, False),
        (Query(UserHistory()), 6, True),
    ],
)
def test_a_list_is_complete_when_it_holds_every_candidate(query: Query, depth: int, complete: bool) -> None:
    assert Pool(6).complete([query], depth).tolist() == [complete]


def test_sampled_ranks_the_positive_among_its_negatives_only() -> None:
    asked = cases([[0], [0]], [[3], [1]])
    exam = sampled(TRAIN, asked, np.array([[1, 2], [4, 5]]), candidates_sha256="abc")
    assert exam.protocol == "sampled-2"
    assert only(exam, Fixed(np.arange(6)))["hit@1"] == [1.0, 0.0]
    assert only(exam, Fixed(np.zeros(6)))["mrr"] == [pytest.approx(1 / 3)] * 2
    assert any("abc" in note for note in exam.notes)


def test_sampled_refuses_what_it_has_no_place_for() -> None:
    with pytest.raises(ValueError, match="one target"):
        sampled(TRAIN, cases([[0]], [[3, 4]]), np.array([[1, 2]]))
    with pytest.raises(ValueError, match="rows of negatives"):
        sampled(TRAIN, cases([[0]], [[3]]), np.array([[1, 2], [1, 2]]))


def test_cold_is_asked_twice() -> None:
    whole, few = cold(TRAIN, cases([[0]], [[3]]), np.array([False, False, False, True, True, False]))
    assert only(whole, Fixed(np.arange(6)))["mrr"] == [pytest.approx(1 / 3)]
    assert only(few, Fixed(np.arange(6)))["mrr"] == [0.5]
    assert few.protocol == "cold-only"


def split(name: str) -> Split:
    rows = random_rows(1_500, n_users=30, n_items=220, seed=2)
    return make_split(dataset(rows, n_items=220), SplitConfig.model_validate({"name": name, "k_core": 0}), seed=0)


def test_sampled_comes_beside_full() -> None:
    parted = split("full")
    drawn = draw_candidates(parted, seed=1)
    found = exams(parted, "sampled", drawn=drawn)
    assert [exam.protocol for exam in found] == ["sampled-99", "sampled-19", "full"]
    rows, fewer = found[0].pool.rows, found[1].pool.rows
    assert rows is not None
    assert fewer is not None
    assert all(set(few) <= set(many) for few, many in zip(fewer.tolist(), rows.tolist(), strict=True))
    for case, row in enumerate(rows):
        assert found[0].cases.target_items[case] in row
        assert not set(row) & set(found[0].cases.history(case).items)


@pytest.mark.parametrize(("name", "protocol"), [("full", "full"), ("holdout", "holdout"), ("cold", "cold")])
def test_each_split_has_its_protocol(name: str, protocol: str) -> None:
    found = exams(split(name), protocol)
    assert found[0].protocol == protocol
    assert len(found) == (2 if protocol == "cold" else 1)


@pytest.mark.parametrize(
    ("name", "protocol"),
    [("full", "holdout"), ("holdout", "full"), ("stream", "full"), ("none", "full"), ("full", "nonsense")],
)
def test_a_split_refuses_the_others_protocols(name: str, protocol: str) -> None:
    with pytest.raises(ProtocolMismatch, match=protocol):
        exams(split(name), protocol)


def test_sampled_needs_its_candidate_file() -> None:
    with pytest.raises(ProtocolMismatch, match="candidate file"):
        exams(split("full"), "sampled")


def test_nothing_to_ask_is_refused() -> None:
    with pytest.raises(EmptyDataError, match="no test case"):
        full(TRAIN, cases([], []))


def test_the_json_has_the_promised_shape() -> None:
    exam = exams(split("full"), "full")[0]
    counting = Counting()
    counting.fit(split("full").train)
    rng = np.random.default_rng(0)
    seeds = [Fixed(rng.random(220)), Fixed(rng.random(220))]
    told = run(exam, {"dynmm": [counting], "chance": seeds}, data_sha256="d" * 64).to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["protocol"] == "full"
    assert told["data_sha256"] == "d" * 64
    assert told["users"] == len(exam.cases)
    assert set(told["systems"]) == {"dynmm", "chance"}
    cell = told["systems"]["chance"]["ndcg@10"]
    assert cell["mean"] == pytest.approx(np.mean(cell["seeds"]))
    assert len(cell["seeds"]) == 2
    assert cell["ci95"][0] <= cell["mean"] <= cell["ci95"][1]
    assert {(one["ours"], one["theirs"], one["metric"]) for one in told["comparisons"]} == {
        ("dynmm", "chance", "hit@10"),
        ("dynmm", "chance", "ndcg@10"),
    }
    assert told["systems"]["dynmm"]["recall@10"] == told["systems"]["dynmm"]["hit@10"]
    assert any("Recall equals Hit" in note for note in told["notes"])
    assert told["depth"] == 100
    assert set(told["apart"]) == {"empty_history", "target_in_history", "target_unseen"}


def test_systems_are_made_one_at_a_time() -> None:
    alive: list[str] = []

    def seeds(name: str) -> Iterator[System]:
        alive.append(name)
        yield Fixed(np.arange(6))
        alive.remove(name)

    exam = full(TRAIN, cases([[0]], [[3]]))
    seen: list[tuple[str, int, int, int]] = []

    def progress(name: str, seed: int, done: int, total: int) -> None:
        seen.append((name, seed, done, total))
        assert alive == [name]

    run(exam, {"a": seeds("a"), "b": seeds("b")}, progress=progress)
    assert seen == [("a", 0, 1, 1), ("b", 0, 1, 1)]


def test_exams_are_sat_in_one_walk_and_stand_side_by_side() -> None:
    parted = split("full")
    found = exams(parted, "sampled", drawn=draw_candidates(parted, seed=1))
    seen: list[int] = []
    counting = Counting()
    counting.fit(parted.train)
    told = run_all(found, {"one": iter([counting])}, progress=lambda *args: seen.append(args[2])).to_json()
    assert told["protocol"] == "sampled-99"
    assert [beside["protocol"] for beside in told["beside"]] == ["sampled-19", "full"]
    assert told["beside"][0]["systems"]["one"]["hit@1"]["mean"] >= told["systems"]["one"]["hit@1"]["mean"]
    assert seen[-1] == 3 * len(found[0].cases)
    assert told["compared"] == ["hit@10", "ndcg@10"]
    assert told["beside"][0]["compared"] == ["hit@1", "ndcg@10"]


def test_a_system_without_a_run_is_refused() -> None:
    with pytest.raises(ValueError, match="no run"):
        run(full(TRAIN, cases([[0]], [[3]])), {"none": []})
