"""Reasons in a language model's words: verified like the plain ones, kept with the run, plain where the model fails."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from tests.assembly.made import BRIEF
from tests.language.tiny import tiny_folder

from dynmm import Recommender
from dynmm.assembly import FitOptions, writing_of
from dynmm.assembly.voicing import Voice, load_voice
from dynmm.assembly.whole import whole_of
from dynmm.cli import main
from dynmm.errors import ModelError
from dynmm.language.writing import WritingReport

USERS = [f"u{user}" for user in range(0, 60, 7)]


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> FitOptions:
    return FitOptions("cpu", cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def speaking(world: Path, options: FitOptions, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    folder = tiny_folder("llama", tmp_path_factory.mktemp("model"), max_position_embeddings=2048)
    language = {"model": str(folder), "writes": True, "precision": "float32"}
    config = {**BRIEF, "evidence": {"strengths": [1.0]}, "rerank": "none", "language": language}
    return Recommender.fit(world, config, split="full", seed=3, options=options)


def _texts(recommender: Recommender) -> list[str]:
    texts = []
    for user in USERS:
        for one in recommender.recommend(user, 3, explain=True):
            assert one.rationale is not None
            assert recommender.verify(one.rationale).holds
            texts.append(one.rationale.text)
    return texts


def test_every_text_is_verified_and_some_are_the_models(
    speaking: Recommender, world: Path, options: FitOptions
) -> None:
    plain = {**BRIEF, "evidence": {"strengths": [1.0]}, "rerank": "none"}
    same = Recommender.fit(world, plain, split="full", seed=3, options=options)
    own, others = _texts(speaking), _texts(same)
    assert len(own) == len(others)
    assert own != others
    assert _texts(speaking) == own, "the same model writes the same"


def test_what_the_model_worded_is_counted_and_told(speaking: Recommender, tmp_path: Path) -> None:
    speaking.save_pretrained(tmp_path / "run")
    loaded = Recommender.from_pretrained(tmp_path / "run")
    assert writing_of(loaded) == WritingReport(0, {})
    told = [one.rationale for user in USERS for one in loaded.recommend(user, 3, explain=True)]
    claims = sum(one is not None and not one.abstains for one in told)
    report = writing_of(loaded)
    assert report is not None
    assert report.accepted > 0
    assert report.accepted + sum(report.replaced.values()) == claims
    call = ["recommend", str(tmp_path / "run"), "--user", USERS[0], "-k", "2"]
    one = json.loads(CliRunner().invoke(main, [*call, "--explain", "--json"]).stdout)
    reasons = sum(bool(item["rationale"]["claims"]) for item in one["items"])
    assert one["writing"]["accepted"] + sum(one["writing"]["replaced"].values()) == reasons
    said = CliRunner().invoke(main, [*call, "--explain"]).stderr
    assert f"of {reasons} reasons are in the language model's words" in said
    assert json.loads(CliRunner().invoke(main, [*call, "--json"]).stdout)["writing"] is None


def test_a_text_that_is_not_verified_is_counted_with_its_reason(speaking: Recommender) -> None:
    voice = whole_of(speaking).voice
    assert voice is not None
    told = [one.rationale for user in USERS for one in speaking.recommend(user, 3, explain=True)]
    plain = next(one for one in told if one is not None and not one.abstains)
    before = voice.report.replaced.get("not verified", 0)
    same, written = voice.worded(plain, speaking.known.info, lambda _: False)
    assert same == plain
    assert written is not None
    assert written.why == "not verified"
    assert voice.report.replaced["not verified"] == before + 1


def test_words_that_take_too_long_are_counted_and_plain_ones_stand(speaking: Recommender) -> None:
    voice = whole_of(speaking).voice
    assert voice is not None
    told = [one.rationale for user in USERS for one in speaking.recommend(user, 3, explain=True)]
    plain = next(one for one in told if one is not None and not one.abstains)
    hurried = Voice(voice.frozen, voice.language.model_copy(update={"words_deadline_ms": 1e-6}), voice.seed)
    same, _ = hurried.worded(plain, speaking.known.info, lambda _: True)
    assert same == plain
    assert hurried.report.replaced == {"late": 1}


def test_the_voice_travels_with_the_run(speaking: Recommender, tmp_path: Path) -> None:
    speaking.save_pretrained(tmp_path / "run")
    assert _texts(Recommender.from_pretrained(tmp_path / "run")) == _texts(speaking)


def test_a_model_that_ranks_and_words_is_held_once(
    world: Path, options: FitOptions, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tiny_folder("llama", tmp_path_factory.mktemp("both"), max_position_embeddings=2048)
    language = {"model": str(folder), "writes": True, "precision": "float32", "epochs": 1, "questions": 20}
    few = {"reranking": {"least_users": 2, "candidates": 10}, "rerank": "language", "language": language}
    config = {**BRIEF, "evidence": {"strengths": [1.0]}, **few}
    made = Recommender.fit(world, config, split="full", seed=3, options=options)
    made.save_pretrained(tmp_path / "run")
    loaded = Recommender.from_pretrained(tmp_path / "run")
    for run in (made, loaded):
        whole = whole_of(run)
        assert whole.voice is not None
        assert whole.reranked is not None
        ranks = whole.reranked.fitted["language"].frozen
        assert ranks is not None
        assert ranks.model is whole.voice.frozen.model
    assert _texts(loaded) == _texts(made)


def test_a_run_keeps_one_copy_of_a_model_that_ranks_and_words(world: Path, options: FitOptions, tmp_path: Path) -> None:
    brief = {"pretrain_steps": 3, "epochs": 1, "questions": 20, "precision": "float32"}
    few = {"reranking": {"least_users": 2, "candidates": 10}, "rerank": "language"}
    config = {**BRIEF, "evidence": {"strengths": [1.0]}, **few, "language": {"writes": True, **brief}}
    made = Recommender.fit(world, config, split="full", seed=3, options=options)
    made.save_pretrained(tmp_path / "run")
    Recommender.from_pretrained(tmp_path / "run").save_pretrained(tmp_path / "again")
    for run in (tmp_path / "run", tmp_path / "again"):
        assert [str(one.parent.relative_to(run)) for one in run.rglob("tokenizer.json")] == ["model/compact"]
        assert _texts(Recommender.from_pretrained(run)) == _texts(made)
    # Runs of before had a copy beside each.
    before = tmp_path / "again" / "model"
    for name in ("rerank", "voice"):
        shutil.copytree(before / "compact", before / name / "model")
    shutil.rmtree(before / "compact")
    assert load_voice(before / "voice", torch.device("cpu")).frozen.folder == before / "voice" / "model"


@pytest.mark.parametrize("harm", ["another", "gone"])
def test_with_another_model_or_none_reasons_are_plain(
    speaking: Recommender, tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing but words is lost: lists, reasons and deletions need no such model."""
    speaking.save_pretrained(tmp_path / "run")
    voice = whole_of(speaking).voice
    assert voice is not None
    folder = Path(voice.language.model)
    aside = folder.rename(tmp_path / "aside")
    try:
        if harm == "another":
            tiny_folder("llama", folder, seed=9, max_position_embeddings=2048)
        loaded = Recommender.from_pretrained(tmp_path / "run")
        why = {
            "another": "does not hold the model",
            "gone": "with a language model. The run was fitted with it: put it",
        }
        assert "reasons are told in plain words: " in caplog.text
        assert why[harm] in caplog.text
        assert whole_of(loaded).voice is None
        told, own = _texts(loaded), _texts(speaking)
        assert len(told) == len(own)
        assert told != own
        with loaded:
            assert loaded.forget(USERS[0])["user"] == USERS[0]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)


def test_an_encoder_cannot_write(world: Path, options: FitOptions, tmp_path: Path) -> None:
    folder = tiny_folder("bert", tmp_path / "bert")
    config = {**BRIEF, "rerank": "none", "language": {"model": str(folder), "writes": True}}
    with pytest.raises(ModelError, match="rank but not write"):
        Recommender.fit(world, config, split="full", seed=3, options=options)
