"""Settings of re-ranking that mean nothing are refused where they are written, with the key."""

from __future__ import annotations

from typing import Any

import pytest

from dynmm.config import Config
from dynmm.errors import ConfigError
from dynmm.language.settings import LanguageSettings, RerankSettings


@pytest.mark.parametrize("gammas", [[], [-1.0], [0.5, -0.25], [float("nan")], [float("inf")]])
def test_weights_that_could_not_be_chosen_from_are_refused(gammas: list[float]) -> None:
    with pytest.raises(ConfigError, match=r"reranking\.gammas"):
        Config.of({"reranking": {"gammas": gammas}})


def test_no_weight_at_all_may_be_chosen() -> None:
    settings: Any = Config.of({"reranking": {"gammas": [0]}}).reranking
    assert settings.gammas == (0.0,)


@pytest.mark.parametrize("server", ["127.0.0.1:8000", "ftp://here", "http://", "http://here:port", "http://[::1"])
def test_what_is_no_address_is_refused_before_anything_is_fitted(server: str) -> None:
    with pytest.raises(ConfigError, match=r"language\.server: .* write it as http://127\.0\.0\.1:8000"):
        Config.of({"language": {"server": server}})


def test_what_serving_alone_reads_does_not_change_what_is_trained() -> None:
    plain = LanguageSettings()
    served = {"deadline_ms": 20.0, "cache_prefixes": 0, "batch_wait_ms": 1.0, "writes": True, "served_as": "opt"}
    assert LanguageSettings(**served).taught() == plain.taught()
    here, there = (LanguageSettings(server=f"http://{host}:8000") for host in ("here", "there"))
    assert here.taught() == there.taught()
    assert here.taught() != plain.taught(), "the read-out of a server is trained otherwise"
    assert LanguageSettings(epochs=4).taught() != plain.taught()


@pytest.mark.parametrize("key", ["deadline_ms", "batch_wait_ms", "pretrain_seconds", "learning_rate", "wording"])
def test_times_and_rates_without_end_are_refused(key: str) -> None:
    """An endless wait ended the thread that all questions wait for, and so each of them waited without end."""
    for value in (float("inf"), float("nan"), 1e300 if key.endswith("_ms") else float("-inf")):
        with pytest.raises(ConfigError, match=f"language.{key}"):
            Config.of({"language": {key: value}})


@pytest.mark.parametrize("key", ["learning_rate", "weight_decay"])
def test_so_they_are_of_every_re_ranker(key: str) -> None:
    with pytest.raises(ConfigError, match=f"reranking.{key}"):
        Config.of({"reranking": {key: float("inf")}})


def test_how_many_questions_choose_among_re_rankers_trains_none_anew() -> None:
    plain = RerankSettings()
    assert RerankSettings(validated=7).taught() == plain.taught()
    assert RerankSettings(held=0.3).taught() != plain.taught()
