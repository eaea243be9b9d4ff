"""A re-ranker that was asked for never vanishes unsaid."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.assembly.walks import walk_config, world

from dynmm import Recommender
from dynmm.assembly.whyrerank import rerank_facts
from dynmm.card import card
from dynmm.cli.fit import _reranking
from dynmm.config import Config
from dynmm.errors import ConfigError

TRAINED = {"chosen": "none", "learned_from": 1_234, "kinds": {"mlp": {}, "none": {}}}
EACH: dict[str, Any] = {"mlp": {"learned_from": 1_543}, "language": {}}


def _whole(**parts: Any) -> Any:
    return SimpleNamespace(**{"evidence": object(), "reranked": None, "reranking": None} | parts)


@pytest.mark.parametrize("variant", ["off", "paper"])
@pytest.mark.parametrize("kind", ["mlp", "transformer", "language"])
def test_a_kind_that_could_never_be_trained_is_refused(kind: str, variant: str) -> None:
    config = walk_config(rerank=kind, evidence={"variant": variant})
    with pytest.raises(ConfigError, match=rf"rerank={kind} .* {variant}: set evidence\.variant=scored, or rerank=none"):
        Recommender.fit(world(), config, split="full")


@pytest.mark.parametrize(
    ("config", "whole", "line"),
    [
        ({"rerank": "none"}, _whole(), "none; rerank=none"),
        (
            {"evidence": {"variant": "off"}},
            _whole(evidence=None),
            "none; re-rankers stand on evidence.variant=scored, and this is off",
        ),
        (
            {"rerank": "mlp"},
            _whole(evidence=None),
            "none; re-rankers stand on evidence, and there are too few users to learn its worth from",
        ),
        (
            {"rerank": "mlp", "reranking": {"least_users": 5_000}},
            _whole(),
            "none; fewer than 5,000 training questions have their answer among the candidates (reranking.least_users)",
        ),
        (
            {"rerank": "mlp"},
            _whole(reranked=SimpleNamespace(facts=TRAINED)),
            "none; no gain over the stages below is sure; trained: mlp on 1,234 questions",
        ),
        (
            {"rerank": "auto"},
            _whole(
                reranked=SimpleNamespace(facts=TRAINED | {"kinds": {"mlp": {"learned_from": 1_543}, "language": {}}})
            ),
            "none; no validation to choose by; trained: mlp on 1,543 questions, language on 1,234 questions",
        ),
        (
            {"rerank": "mlp"},
            _whole(
                reranked=SimpleNamespace(facts=TRAINED | {"chosen": "mlp"}),
                reranking=SimpleNamespace(kind="mlp", gamma=0.75),
            ),
            "mlp ranks, gamma 0.75; trained: mlp on 1,234 questions",
        ),
    ],
)
def test_fit_and_the_card_say_what_ranks_or_why_nothing_does(config: dict[str, Any], whole: Any, line: str) -> None:
    facts = rerank_facts(Config.of(config), whole)
    assert _reranking(facts) == f"re-ranking: {line}"
    told = card(_manifest() | {"rerank": facts}, world())
    named = "mlp, gamma 0.75" if facts["why"] is None else f"none ({facts['why']})"
    assert f"- Re-ranker: {named}." in told
    assert ("which re-ranker serves" in told) == bool(facts.get("kinds"))


def _manifest() -> dict[str, Any]:
    return {
        "data": {"name": "walks", "sha256": "0"},
        "split": {"name": "none", "description": "all"},
        "config": Config.of({"backbone": {"width": 16}}).model_dump(mode="json"),
        "dynmm": "1",
        "seeds": [0],
        "created": "now",
        "notes": [],
        "validation": {},
    }
