"""A language model that cannot be used costs what it does and no more: not the fit, not a deletion."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.assembly.walks import serve, walk_config, world
from tests.language.tiny import tiny_folder

from dynmm import Recommender
from dynmm.assembly import FitOptions
from dynmm.errors import ModelError


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> FitOptions:
    return FitOptions("cpu", cache=tmp_path_factory.mktemp("cache"))


def test_a_context_that_is_too_short_costs_the_language_model_alone(
    options: FitOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tiny_folder("llama", tmp_path / "short", max_position_embeddings=24)
    config = walk_config(rerank="auto", language={"model": str(folder), "precision": "float32"})
    fitted = Recommender.fit(world(), config, split="full", seed=1, options=options)
    assert sorted(fitted.facts["rerank"]["kinds"]) == ["mlp", "none", "transformer"]
    assert "no language model re-ranks: the prompt's text" in caplog.text
    with pytest.raises(ModelError, match="and the model reads 24"):
        Recommender.fit(world(), {**config, "rerank": "language"}, split="full", seed=1, options=options)


def test_a_run_whose_ranking_model_is_gone_forgets_and_does_not_recommend(
    options: FitOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tiny_folder("llama", tmp_path / "model", max_position_embeddings=2048)
    language = {"model": str(folder), "precision": "float32", "epochs": 1}
    fitted = Recommender.fit(
        world(), walk_config(rerank="language", language=language), split="full", seed=1, options=options
    )
    serve(fitted, "language")
    fitted.save_pretrained(tmp_path / "run")
    folder.rename(tmp_path / "elsewhere")
    user = str(world().users.ids[0])
    with Recommender.from_pretrained(tmp_path / "run") as loaded:
        assert "this run cannot recommend: there is no folder" in caplog.text
        with pytest.raises(ModelError, match=r"put it back, or name the folder where it lies now in .* DYNMM_L"):
            loaded.recommend(user, 3)
        assert loaded.forget(user)["user"] == user
    (tmp_path / "elsewhere").rename(folder)
    assert Recommender.from_pretrained(tmp_path / "run").recommend(str(world().users.ids[1]), 3)


def test_a_run_is_taken_elsewhere_with_its_model(
    options: FitOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_folder("llama", tmp_path / "model", max_position_embeddings=2048)
    language = {"model": str(folder), "precision": "float32", "epochs": 1, "writes": True}
    fitted = Recommender.fit(
        world(), walk_config(rerank="language", language=language), split="full", seed=1, options=options
    )
    serve(fitted, "language")
    user = str(world().users.ids[0])
    before = [(one.item, one.score) for one in fitted.recommend(user, 3)]
    fitted.save_pretrained(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "taken")
    folder.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("DYNMM_LANGUAGE_MODEL", str(tmp_path / "elsewhere"))
    loaded = Recommender.from_pretrained(tmp_path / "taken")
    assert [(one.item, one.score) for one in loaded.recommend(user, 3, explain=True)] == before
    assert "cannot" not in caplog.text
    other = tiny_folder("llama", tmp_path / "other", max_position_embeddings=2048, seed=7)
    monkeypatch.setenv("DYNMM_LANGUAGE_MODEL", str(other))
    assert Recommender.from_pretrained(tmp_path / "taken").items
    assert "does not hold the model that was trained with" in caplog.text
