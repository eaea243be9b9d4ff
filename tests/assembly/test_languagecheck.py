"""What is wrong with a language model is told before anything is encoded and trained for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from tests.assembly.made import BRIEF
from tests.assembly.walks import walk_config, world
from tests.language.tiny import tiny_folder

from dynmm import Recommender
from dynmm.assembly import FitOptions, fitting
from dynmm.assembly.languagecheck import check_language, located
from dynmm.config import Config
from dynmm.errors import ConfigError, DynmmError, MissingExtraError, ModelError

SERVER = "http://127.0.0.1:8000"


class Began(Exception):
    """The fit begins."""


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """What a fit says that must not begin."""

    def begins(*_: Any) -> None:
        raise Began

    monkeypatch.setattr(fitting, "_features", begins)

    def said(error: type[DynmmError], **changes: Any) -> str:
        with pytest.raises(error) as refused:
            Recommender.fit(world(), walk_config(**changes), split="full", options=FitOptions("cpu", cache=tmp_path))
        return str(refused.value)

    return said


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_folder("bert", tmp_path_factory.mktemp("bert")))


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_folder("llama", tmp_path_factory.mktemp("llama")))


@pytest.mark.parametrize("rerank", ["auto", "language"])
def test_a_model_that_is_not_there(refusal: Any, tmp_path: Path, rerank: str) -> None:
    missing = str(tmp_path / "missing")
    assert f"no folder '{missing}'" in refusal(ModelError, rerank=rerank, language={"model": missing})


def test_a_model_whose_weights_are_cut_off(refusal: Any, tmp_path: Path) -> None:
    folder = tiny_folder("opt", tmp_path / "opt")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    told = refusal(ModelError, rerank="none", language={"model": str(folder), "writes": True})
    assert f"{weights} is cut off" in told


def test_an_encoder_that_is_to_write(refusal: Any, encoder: str) -> None:
    assert "rank but not write" in refusal(ModelError, rerank="none", language={"model": encoder, "writes": True})


def test_an_encoder_that_is_to_be_taught_by_words(refusal: Any, encoder: str) -> None:
    told = refusal(ConfigError, rerank="language", language={"model": encoder, "wording": 0.1})
    assert "language.wording teaches by words" in told


def test_an_encoder_or_a_list_behind_a_server(refusal: Any, encoder: str, causal: str) -> None:
    told = refusal(ConfigError, rerank="language", language={"model": encoder, "server": SERVER})
    listed = {"model": causal, "server": SERVER, "layout": "listwise"}
    assert told == refusal(ConfigError, rerank="language", language=listed)
    assert "take a causal language.model and language.layout=branch" in told


def test_a_folder_is_found_from_elsewhere(causal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is opened in another folder would ask the hub for a model of that name."""
    monkeypatch.chdir(Path(causal).parent)
    for name in (Path(causal).name, f"./{Path(causal).name}", causal):
        language = {"model": name, "writes": True, "precision": "float32"}
        brief = {"backbone": {**BRIEF["backbone"], "epochs": 1}, "fusion": {"variant": "off"}}
        config = brief | {"evidence": {"variant": "off"}, "language": language}
        made = Recommender.fit(world(), config, split="full", options=FitOptions("cpu", cache=tmp_path / "cache"))
        assert made.facts["config"]["language"]["model"] == causal
    made.save_pretrained(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    assert Recommender.from_pretrained(tmp_path / "run").recommend("u001", 3) == made.recommend("u001", 3)


@pytest.mark.parametrize("name", ["compact", "minilm", "facebook/opt-125m"])
def test_a_name_stays_a_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for word in ("compact", "minilm"):
        (tmp_path / word).mkdir()
    config = Config.of({"language": {"model": name}})
    assert located(config) is config


def test_what_does_without_a_model_asks_for_none(tmp_path: Path) -> None:
    missing = {"model": str(tmp_path / "missing")}
    for config in ({"rerank": "mlp"}, {"rerank": "none"}, {"rerank": "auto", "evidence": {"variant": "off"}}):
        check_language(Config.of({**config, "language": missing}))


def test_the_library_is_asked_for_where_nothing_goes_without_it(monkeypatch: pytest.MonkeyPatch, causal: str) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "transformers", None)
        for model in ("compact", causal):
            check_language(Config.of({"rerank": "auto", "language": {"model": model}}))
            with pytest.raises(MissingExtraError, match="transformers"):
                check_language(Config.of({"rerank": "language", "language": {"model": model}}))
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(MissingExtraError, match="llguidance"):
        check_language(Config.of({"rerank": "none", "language": {"writes": True}}))
    check_language(Config.of({"rerank": "language"}))


@pytest.mark.parametrize(
    ("rerank", "language", "named"),
    [
        ("mlp", {"candidate": "title", "preset": "long", "margin": 0.1}, "language.candidate"),
        ("none", {"preset": "long"}, "language.preset"),
        ("mlp", {"epochs": 9, "layout": "listwise"}, "language.layout, language.epochs"),
        ("mlp", {"writes": True, "pretrain_seconds": 9.0, "drawn": 5}, "language.drawn"),
        ("mlp", {"preset": "long"}, ""),
        ("mlp", {"writes": True, "words_deadline_ms": 9.0}, ""),
        ("auto", {"candidate": "title"}, ""),
        ("none", {}, ""),
    ],
)
def test_keys_that_nothing_reads_are_named(
    rerank: str, language: dict[str, Any], named: str, caplog: pytest.LogCaptureFixture
) -> None:
    check_language(Config.of({"rerank": rerank, "language": language}))
    told = [one.getMessage() for one in caplog.records]
    assert len(told) == bool(named)
    assert all(f"nothing reads {named} with rerank={rerank}:" in one for one in told)
