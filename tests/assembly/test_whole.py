"""The stages put together: the ladder, what is frozen, other forms of the joint stage in a whole run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.assembly.made import BRIEF, write_vectors

from dynmm import Dataset, Recommender
from dynmm.assembly import FitOptions, fit, known_features, rungs, with_features
from dynmm.assembly.measured import as_fitted
from dynmm.assembly.whole import whole_of
from dynmm.catalogue.corruption import drop
from dynmm.errors import ConfigError, TamperedArtefact, UnsupportedByData
from dynmm.fusion.joint import Joint
from dynmm.system import Query
from dynmm.testing import state_hash
from dynmm.types import UserHistory

USERS = [f"u{user}" for user in range(0, 60, 7)]


def _fit(world: Path, options: FitOptions, split: str = "full", **fusion: Any) -> Recommender:
    config = {**BRIEF, "fusion": {**BRIEF["fusion"], **fusion}}
    return Recommender.fit(world, config, split=split, seed=3, options=options)


@pytest.fixture(scope="module")
def fitted(world: Path, options: FitOptions) -> Recommender:
    return _fit(world, options)


@pytest.fixture
def run(fitted: Recommender, tmp_path: Path) -> Path:
    fitted.save_pretrained(tmp_path / "run")
    return tmp_path / "run"


def _joint(recommender: Recommender) -> Joint:
    joint = whole_of(recommender).joint
    assert joint is not None
    return joint


def _queries() -> list[Query]:
    histories = [[1, 2, 3], [29], [], [5, 6, 7, 8, 9]]
    return [Query(UserHistory(np.asarray(one, np.int32)), exclude=np.asarray(one, np.int32)) for one in histories]


def test_the_ladder_ends_with_the_whole(fitted: Recommender) -> None:
    ladder = rungs(fitted)
    assert list(ladder) == ["dynmm/backbone", "dynmm/joint", "dynmm/evidence"]
    assert all(system.name == name for name, system in ladder.items())
    ours = fitted.system.rank(_queries(), 10)
    below, joint, top = (one.rank(_queries(), 10) for one in ladder.values())
    assert np.array_equal(ours.items, top.items)
    assert np.array_equal(ours.scores, top.scores)
    assert not np.array_equal(joint.scores, below.scores)
    assert not np.array_equal(top.scores, joint.scores)


def test_recommending_moves_nothing(fitted: Recommender) -> None:
    before = state_hash(fitted)
    backbone, joint = whole_of(fitted).backbone.parameter_hash(), _joint(fitted).parameter_hash()
    fitted.recommend("u9", 3)
    fitted.recommend_many(USERS, 7)
    fitted.recommend_session(["i1", "i2"], 3)
    fitted.rank("u1", ["i1", "i9"])
    fitted.similar("i3", 4)
    assert state_hash(fitted) == before
    assert whole_of(fitted).backbone.parameter_hash() == backbone
    assert _joint(fitted).parameter_hash() == joint


def test_learning_moves_no_parameter(run: Path) -> None:
    recommender = Recommender.from_pretrained(run)
    backbone, joint = whole_of(recommender).backbone.parameter_hash(), _joint(recommender).parameter_hash()
    vectors = _joint(recommender).item_vectors.clone()
    recommender.learn([{"user_id": "u1", "item_id": f"i{item}", "timestamp": 2 * 10**12} for item in range(9)])
    assert whole_of(recommender).backbone.parameter_hash() == backbone
    assert _joint(recommender).parameter_hash() == joint
    assert torch.equal(_joint(recommender).item_vectors, vectors)


def test_a_run_from_disk_is_the_same_to_the_bit(fitted: Recommender, run: Path) -> None:
    loaded = Recommender.from_pretrained(run)
    assert torch.equal(_joint(loaded).item_vectors, _joint(fitted).item_vectors)
    assert _joint(loaded).parameter_hash() == _joint(fitted).parameter_hash()
    assert loaded.recommend_many(USERS, 9) == fitted.recommend_many(USERS, 9)
    assert loaded.similar("i4", 9) == fitted.similar("i4", 9)
    assert loaded.facts["joint"] == fitted.facts["joint"]
    assert loaded.facts["content"] == fitted.facts["content"]


@pytest.mark.parametrize(
    "victim", ["weights.safetensors", "features-text.safetensors", "joint.json", "content-to-cf.safetensors"]
)
def test_a_changed_byte_of_the_joint_stage_is_refused_by_name(run: Path, victim: str) -> None:
    path = run / "model" / "joint" / victim
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(TamperedArtefact, match=victim):
        Recommender.from_pretrained(run)


def test_nobody_else_decides_what_one_user_gets(fitted: Recommender) -> None:
    together = fitted.recommend_many(USERS, 9).by_user
    for user in USERS:
        assert fitted.recommend(user, 9) == together[user]


def test_what_facts_add_to_an_item_depends_on_no_other_item_or_query(fitted: Recommender) -> None:
    evidence = whole_of(fitted).evidence
    assert evidence is not None
    histories = [[1, 2, 3], [9, 2, 2, 29, 0], [], [5, 4, 3]]
    asked = [Query(UserHistory(np.asarray(one, np.int32)), fitted.now) for one in histories]
    every = np.arange(30)
    together = evidence.scores(asked)
    for row, query in enumerate(asked):
        assert np.array_equal(evidence.scores([query])[0], together[row])
        among = evidence.on(query, every)
        assert [evidence.on(query, np.asarray([item]))[0] for item in every] == among.tolist()
        assert among == pytest.approx(together[row], abs=1e-4)
        sums = [sum(part.amount for part in evidence.parts(query, int(item))) for item in every]
        assert sums == pytest.approx(among.tolist(), abs=1e-4)
    assert together[1].any()


def test_the_facts_tell_of_content_and_of_the_joint_stage(fitted: Recommender) -> None:
    (text,) = fitted.facts["content"]["modalities"]
    assert (text["modality"], text["items"], text["without"]) == ("text", 29, 1)
    assert fitted.facts["joint"]["items"] == {"cf": 30, "text": 29}
    assert fitted.facts["config"]["fusion"]["temperature"] == fitted.facts["config"]["backbone"]["temperature"]
    assert len(fitted.facts["curves"]["joint"]) == 4


def test_nothing_is_added_where_nothing_was(fitted: Recommender, tmp_path: Path) -> None:
    assert as_fitted(fitted).joint is whole_of(fitted).joint
    run = tmp_path / "run"
    fitted.save_pretrained(run)
    recommender = Recommender.from_pretrained(run)
    recommender.add_items([{"item_id": "n7"}], features=write_vectors(tmp_path / "new", {"n7": 7}))
    assert whole_of(recommender).space.item_vectors.shape == (31, 16)
    base = as_fitted(recommender)
    assert torch.equal(base.space.item_vectors, whole_of(fitted).space.item_vectors)


def test_what_is_known_can_be_taken_away_for_a_question(fitted: Recommender) -> None:
    before = fitted.recommend_many(USERS, 9)
    without = with_features(fitted, drop(known_features(fitted), "text"))
    found = without.rank(_queries(), 5)
    assert not np.array_equal(found.scores, fitted.system.rank(_queries(), 5).scores)
    assert fitted.recommend_many(USERS, 9) == before


def test_the_papers_form_in_a_whole_run(world: Path, options: FitOptions, tmp_path: Path) -> None:
    paper = _fit(world, options, variant="paper")
    joint = _joint(paper)
    assert torch.equal(joint.joined.model.latents.collaborative, whole_of(paper).backbone.input_vectors)
    assert paper.facts["config"]["fusion"]["gate"] == "mean"
    paper.save_pretrained(tmp_path / "run")
    loaded = Recommender.from_pretrained(tmp_path / "run")
    assert loaded.recommend_many(USERS, 9) == paper.recommend_many(USERS, 9)
    loaded.add_items([{"item_id": "n7"}], features=write_vectors(tmp_path / "new", {"n7": 7}))
    assert _joint(loaded).parts().weights[30].tolist() == [0.5, 0.5]
    with pytest.raises(ConfigError, match="variant 'paper' decides swap"):
        _fit(world, options, variant="paper", swap=0.3)


def test_without_content_there_is_no_joint_stage(world: Path, options: FitOptions) -> None:
    blind = _fit(world, options, variant="off")
    assert list(rungs(blind)) == ["dynmm/backbone", "dynmm/evidence"]
    assert blind.facts["joint"] is None
    assert known_features(blind) == ()
    with pytest.raises(UnsupportedByData, match="no modality to drop"):
        with_features(blind, [])


def test_a_modality_that_is_not_wanted_is_not_read(world: Path, options: FitOptions) -> None:
    blind = _fit(world, options, modalities=["image", "audio"])
    assert list(rungs(blind)) == ["dynmm/backbone", "dynmm/evidence"]
    assert blind.facts["content"]["modalities"] == []


def test_a_refit_on_all_events_keeps_the_selected_epochs(world: Path, options: FitOptions) -> None:
    found = fit(world, BRIEF, split="none", seed=3, options=options)
    joint = _joint(found.recommender).joined
    assert found.recommender.facts["refitted"]
    assert joint.best_epoch == len(found.refits["joint"]) == found.curves["joint"][-1].best_epoch
    assert int(joint.counts.sum()) == 60 * 12


def test_hidden_items_have_no_collaborative_part_in_a_cold_run(world: Path, options: FitOptions) -> None:
    cold = Recommender.fit(
        world, {**BRIEF, "split": {"name": "cold", "cold_hidden_share": 0.2}}, seed=3, options=options
    )
    assert cold.split is not None
    assert cold.split.cold_items is not None
    hidden = torch.from_numpy(cold.split.cold_items)
    parts = _joint(cold).parts()
    assert torch.equal(~parts.present[:, 0], hidden)
    assert not parts.weights[hidden][:, 0].any()


def test_a_run_can_be_fitted_again_from_what_it_kept(run: Path, world: Path, options: FitOptions) -> None:
    """`fit` on a loaded whole: the precomputed vectors lie with the data, so it needs the data's folder."""
    recommender = Recommender.from_pretrained(run)
    whole = whole_of(recommender)
    whole.fit(Dataset.load(world))
    assert whole.joint is not None
    assert int(whole.joint.joined.counts.sum()) == 60 * 12
    with pytest.raises(UnsupportedByData, match=r"features/text-NAME\.parquet"):
        whole.fit(recommender.known)
