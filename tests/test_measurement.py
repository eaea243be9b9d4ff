"""A run beside the comparison systems: what its JSON holds, in memory and from disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from tests.worlds import DAY, QUICK, START, circles

from dynmm import Dataset, DatasetInfo, Recommender
from dynmm.assembly import FitOptions, Whole, alone, fit, known_events, with_adapter
from dynmm.assembly.whole import whole_of
from dynmm.catalogue.content import Modality
from dynmm.catalogue.features import Features
from dynmm.errors import ProtocolMismatch
from dynmm.evaluation.replay import Mode
from dynmm.evaluation.report import ReportData, render
from dynmm.evaluation.robustness import asked_conditions
from dynmm.measurement import comparison_names, evaluate, robustness, stream
from dynmm.testing.state import state_hash
from dynmm.types import Events, FloatArray


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> FitOptions:
    return FitOptions(cache=tmp_path_factory.mktemp("cache"))


HOUR = DAY // 24


def _with_a_surprise() -> Dataset:
    """Circles, and one user whose last item nobody else ever took; `rare` falls out of a 5-core."""
    interactions, items = circles()
    late = pl.DataFrame({"user_id": ["u1"], "item_id": ["rare"], "timestamp": [START + 2 * DAY]})
    more = pl.DataFrame({"item_id": ["rare"], "title": ["Rare"]})
    info = DatasetInfo("circles", "film", "watched", "second")
    return Dataset.from_frames(pl.concat([interactions, late]), pl.concat([items, more]), info=info)


def _run(options: FitOptions, split: str, **holding_out: Any) -> Recommender:
    config = {**QUICK, "split": {"name": split, **holding_out}}
    return fit(_with_a_surprise(), config, seed=3, options=options).recommender


def test_every_table_of_a_result_has_the_rung(options: FitOptions) -> None:
    result = evaluate(_run(options, "full", k_core=0), systems=["popularity"])
    group = result["apart"]["target_unseen"]
    assert group["cases"] == 1
    assert set(group["systems"]) == {"dynmm", "dynmm/evidence", "dynmm/joint", "dynmm/backbone", "popularity"}
    assert group["systems"]["dynmm/evidence"] == group["systems"]["dynmm"]
    assert "target unseen" in render(ReportData("a film", results=[result]))


def test_a_run_is_measured_with_what_it_had_learned_but_for_its_answers(options: FitOptions, tmp_path: Path) -> None:
    # Whatever it learns serves, and it learns fast.
    adapter = {"guard": False, "step_events": 8, "learning_rate": 0.05, "clip": 100.0}
    config = {**QUICK, "split": {"name": "full", "k_core": 0}, "adapter": adapter}
    fitted = fit(_with_a_surprise(), config, seed=3, options=options).recommender
    fitted.save_pretrained(tmp_path / "run")
    assert fitted.split is not None
    assert fitted.split.test is not None
    late = START + 30 * DAY
    # Newcomers go seven steps where everybody else goes one.
    steps = [(f"new{n}", f"i{(n + hop) % 30}") for n in range(120) for hop in (0, 7)]
    rows = [{"user_id": user, "item_id": item, "timestamp": late + n * HOUR} for n, (user, item) in enumerate(steps)]
    answer = {
        "user_id": fitted.users.decode(int(fitted.split.test.users[0])),
        "item_id": fitted.items.decode(int(fitted.split.test.target_items[0])),
        "timestamp": late + 1_000 * HOUR,
    }
    with Recommender.from_pretrained(tmp_path / "run") as run:
        first = run.offset
        run.learn([*rows, answer])
    before, after, behind = (
        Recommender.from_pretrained(tmp_path / "run", as_of=offset) for offset in (first, first + 240, first + 241)
    )
    told = [evaluate(one, systems=["popularity"], learned=True) for one in (before, after)]
    assert told[0]["systems"]["dynmm/online"] == told[0]["systems"]["dynmm"]
    assert told[1]["systems"]["dynmm"] == told[0]["systems"]["dynmm"]
    assert told[1]["systems"]["dynmm/online"] != told[1]["systems"]["dynmm"]
    assert f"240 events that were learned after the fit, up to offset {first + 240:,}" in "".join(told[1]["notes"])
    with pytest.raises(ProtocolMismatch, match=f"the first at offset {first + 240:,}"):
        evaluate(behind, systems=["popularity"], learned=True)


def test_every_table_of_a_stream_has_ours_with_and_without_the_adapter(options: FitOptions) -> None:
    result = stream(_run(options, "stream"), systems=["popularity"])
    for table in ("systems", "systems_by_user", "update_seconds", "rank_seconds", "event_to_effect_ms", "retention"):
        assert {"dynmm", "dynmm/static"} <= set(result[table]), table
    assert all(
        set(one["systems"]) == {"dynmm", "dynmm/static", "dynmm/frozen", "popularity"} for one in result["blocks"]
    )
    assert {one["ours"] for one in result["old_cases"]} == {"dynmm", "dynmm/static"}
    assert "What it costs" in render(ReportData("a stream", results=[result]))
    assert result["frozen_sha256"]["before"] == result["frozen_sha256"]["after"]


@pytest.mark.parametrize("part", ["backbone", "joint", "facts"])
def test_a_stream_that_moves_what_is_frozen_is_refused(
    options: FitOptions, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    config = {**QUICK, "split": {"name": "stream"}, "evidence": {"least_users": 1}}
    run = fit(_with_a_surprise(), config, seed=3, options=options).recommender
    whole, learn = whole_of(run), Whole.learn
    assert whole.joint is not None
    assert whole.evidence is not None
    parameters = {"backbone": whole.backbone._model, "joint": whole.joint._model}
    weights = whole.evidence.weights.weights

    def meddling(self: Whole, events: Events) -> None:
        learn(self, events)
        if part == "facts":
            weights[0] += 1e-3
        else:
            with torch.no_grad():
                next(parameters[part].parameters()).add_(1e-3)

    monkeypatch.setattr(Whole, "learn", meddling)
    with pytest.raises(ProtocolMismatch, match="frozen until the next fit moved"):
        stream(run, systems=["popularity"])


def test_content_is_a_comparison_in_a_stream_on_demand(options: FitOptions) -> None:
    result = stream(_run(options, "stream"), systems=["content-knn"])
    assert result["systems"]["content-knn"]["hit@10"]["mean"] > 0


def test_a_stream_has_the_lower_rungs_where_they_are_asked_for(options: FitOptions) -> None:
    result = stream(_run(options, "stream"), systems=["popularity"], ladder=True)
    assert {"dynmm/backbone", "dynmm/joint", "dynmm/static"} <= set(result["systems"])


def test_a_replay_leaves_the_run_as_it_was(options: FitOptions) -> None:
    """Or the next rung would rank by counts of the very events that it is asked about."""
    config = {**QUICK, "split": {"name": "stream"}, "evidence": {"least_users": 1}}
    run = fit(_with_a_surprise(), config, seed=3, options=options).recommender
    whole = whole_of(run)
    assert whole.evidence is not None
    counted = len(whole.evidence.terms.pairs)
    before = state_hash([whole.evidence, whole.books])
    result = stream(run, systems=["popularity"], ladder=True)
    assert whole.evidence is not None
    assert len(whole.evidence.terms.pairs) == counted
    assert state_hash([whole.evidence, whole.books]) == before
    assert "dynmm/static is dynmm/evidence" in "".join(result["notes"])


def test_each_rung_counts_the_stream_once(options: FitOptions) -> None:
    config = {**QUICK, "split": {"name": "stream"}, "evidence": {"least_users": 1}}
    run = fit(_with_a_surprise(), config, seed=3, options=options).recommender
    assert run.split is not None
    assert run.split.stream is not None
    first, second = alone(run), alone(run)
    known = len(known_events(run.split).events)
    for whole in (first, first, second):
        whole.rungs()["dynmm/evidence"].learn(run.split.stream)
    assert [len(one.evidence.terms.pairs) - known for one in (first, second) if one.evidence is not None] == [
        2 * len(run.split.stream),
        len(run.split.stream),
    ]


@pytest.mark.parametrize(("configured", "hours"), [("auto", 2), ("6h", 6)])
def test_a_configured_window_of_the_adapter_holds_along_a_stream(
    options: FitOptions, configured: str, hours: int
) -> None:
    config = {**QUICK, "split": {"name": "stream"}, "adapter": {"window": configured}}
    moving = with_adapter(fit(_with_a_surprise(), config, seed=3, options=options).recommender, "2h").moving
    assert moving is not None
    moving.adapter.count(np.asarray([0]), 0)
    assert [moving.adapter.due(hours * 3_600_000 - early) for early in (1, 0)] == [False, True]


def test_without_an_adapter_the_whole_is_what_is_static(options: FitOptions) -> None:
    config = {**QUICK, "split": {"name": "stream"}, "adapter": {"variant": "off"}}
    result = stream(fit(_with_a_surprise(), config, seed=3, options=options).recommender, systems=["popularity"])
    assert result["systems"]["dynmm"] == result["systems"]["dynmm/static"]


def test_a_run_from_disk_tells_what_the_split_removed(options: FitOptions, tmp_path: Path) -> None:
    fitted = _run(options, "full")
    fitted.save_pretrained(tmp_path / "run")
    results = [evaluate(one, systems=["popularity"]) for one in (fitted, Recommender.from_pretrained(tmp_path / "run"))]
    assert results[0] == results[1]
    assert "5-core: removed 0 users, 1 items" in results[1]["split"]["notes"][0]


def test_a_long_stream_says_how_often_the_backbone_is_trained(options: FitOptions) -> None:
    interactions, items = circles()
    slow = interactions.with_columns((pl.col("timestamp") - START) * 3_000 + START)
    data = Dataset.from_frames(slow, items, info=DatasetInfo("slow", "film", "watched", "second"))
    recommender = fit(data, {**QUICK, "evidence": {"variant": "off"}}, split="stream", options=options).recommender
    told = stream(recommender, systems=["backbone-retrained-7d"])["notes"]
    assert recommender.split is not None
    days = (slow["timestamp"].to_list()[-1] - recommender.split.counts["stream from (ms UTC)"]) / DAY
    assert f"backbone-retrained-7d is trained every {days / 60:.1f} days here: at most 60 times in a stream." in told
    short = stream(_run(options, "stream"), systems=["backbone-retrained-7d"])["notes"]
    assert not any("is trained every" in note for note in short)


def test_a_run_can_be_fitted_for_windows_and_a_replay_says_for_what_it_was(options: FitOptions) -> None:
    def replayed(length: str | None, mode: Mode) -> tuple[list[str], FloatArray]:
        config = {**QUICK, "split": {"name": "stream", "stream_window": length}, "evidence": {"least_users": 1}}
        run = fit(_with_a_surprise(), config, seed=3, options=options).recommender
        weighed = whole_of(run).evidence
        assert weighed is not None
        notes = stream(run, mode=mode, window="3h", systems=["popularity"])["notes"]
        return [note for note in notes if note.startswith("This run was fitted")], weighed.weights.weights

    plain, asked = replayed(None, "window"), replayed("180min", "window")
    assert plain[0] == [
        "This run was fitted for events that know of all before them; a fit with split.stream_window=3h is asked as "
        "this replay asks."
    ]
    assert asked[0] == replayed(None, "event")[0] == []
    assert replayed("3h", "event")[0][0].startswith("This run was fitted for windows of 3h; a fit with")
    assert not np.array_equal(asked[1], plain[1])


def _features(modality: Modality, items: int) -> Features:
    """Neighbours of the circle look alike."""
    places = 2 * np.pi * np.arange(items) / items
    vectors = np.stack([np.cos(places), np.sin(places)], axis=1).astype(np.float32)
    return Features(modality, "hand", "hand/1", vectors, np.ones(items, np.bool_), np.ones(items, np.float32))


def test_cold_items_are_compared_with_content_counts_and_chance() -> None:
    data = _with_a_surprise()
    seen = [_features("text", data.n_items), _features("image", data.n_items)]
    names = comparison_names(data, cold=True, features=seen)
    assert names[:3] == ["content-knn", "content-knn-text", "content-knn-image"]
    assert {"popularity", "item-knn", "random"} < set(names)
    assert not {"als", "bpr"} & set(names)
    assert "content-knn" not in comparison_names(data, features=seen)
    assert "random" not in comparison_names(data)


def test_a_cold_run_is_measured_against_content_among_all_items_and_among_cold_ones(options: FitOptions) -> None:
    run = _run(options, "cold", cold_hidden_share=0.3)
    assert run.split is not None
    assert run.split.cold_items is not None
    seen = [_features("text", run.split.train.n_items)]
    result = evaluate(run, features=seen)
    (few,) = result["beside"]
    assert {"content-knn", "popularity", "random"} < set(result["systems"]) == set(few["systems"])
    assert (result["protocol"], few["protocol"]) == ("cold", "cold-only")
    n_cold = int(run.split.cold_items.sum())
    assert any(f"the {n_cold} cold items" in note for note in few["notes"])
    # Among fewer candidates, nobody's hit rate falls: every system is held to the same ones.
    for name, scores in few["systems"].items():
        assert scores["hit@10"]["mean"] >= result["systems"][name]["hit@10"]["mean"], name
    assert few["systems"]["random"]["hit@10"]["mean"] > result["systems"]["random"]["hit@10"]["mean"]
    page = render(ReportData("circles", results=[result]))
    assert "only such new items to choose from" in page


def test_what_a_cold_run_loses_is_asked_among_cold_items_too(options: FitOptions) -> None:
    run = _run(options, "cold", cold_hidden_share=0.3)
    result = robustness(run, asked_conditions(["text"], []))
    (few,) = result["beside"]
    assert (result["protocol"], few["protocol"]) == ("cold", "cold-only")
    assert few["systems"]["full"]["hit@10"]["mean"] >= result["systems"]["full"]["hit@10"]["mean"]
    assert [one["name"] for one in few["conditions"]] == [one["name"] for one in result["conditions"]]


def test_what_a_run_loses_without_its_texts_and_with_wrong_ones(options: FitOptions) -> None:
    run = _run(options, "full", k_core=0)
    result = robustness(run, asked_conditions(["text"], ["text=1"]))
    whole = evaluate(run, systems=["popularity"])["systems"]["dynmm"]
    assert result["systems"]["full"]["hit@10"] == whole["hit@10"]
    assert [one["name"] for one in result["conditions"]][-2:] == ["noise text=1", "wrong text=1"]
    assert {one["condition"] for one in result["claims"]} == {"drop text=1", "noise text=1", "wrong text=1"}
    assert result == robustness(run, asked_conditions(["text"], ["text=1"]))
    assert "Is wrong worse than missing?" in render(ReportData("circles", robustness=[result]))
