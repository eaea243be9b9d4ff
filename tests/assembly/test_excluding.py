"""Reasons that were written while items were left out of the list: they verify as what they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.assembly.walks import NAMES, serve, walk_config, world
from tests.cli.made import asked, dynmm, refused

from dynmm import Recommender
from dynmm.assembly import FitOptions
from dynmm.assembly.whole import whole_of

#: Shares that the facts carry lie on both sides of it.
SMALL = 0.9


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a disk whose perceptron ranks five candidates."""
    config = walk_config(rerank="mlp", rationale={"small_part": SMALL})
    config["reranking"] = config["reranking"] | {"candidates": 5}
    options = FitOptions("cpu", cache=tmp_path_factory.mktemp("cache"))
    recommender = Recommender.fit(world(), config, split="full", seed=1, options=options)
    serve(recommender, "mlp")
    made = tmp_path_factory.mktemp("runs") / "run"
    recommender.save_pretrained(made)
    return made


@pytest.fixture(scope="module")
def run(folder: Path) -> Recommender:
    recommender = Recommender.from_pretrained(folder)
    assert whole_of(recommender).reranking is not None
    return recommender


def test_a_rationale_is_held_to_the_score_that_it_was_written_of(run: Recommender) -> None:
    """What is left out makes room among the candidates of the re-ranker, so its part is another."""
    untrue = 0
    for user in NAMES:
        hidden = [one.item for one in run.recommend(user, 3)]
        for one in run.recommend(user, 6, exclude=hidden, explain=True, view="operator"):
            assert one.rationale is not None
            assert run.verify(one.rationale, exclude=hidden).holds
            untrue += not run.verify(one.rationale).holds
        for one in run.recommend(user, 6, exclude_history=False, explain=True, view="operator"):
            assert one.rationale is not None
            assert run.verify(one.rationale, exclude_history=False).holds
    assert untrue, "it matters what was excluded"


def test_what_recommend_prints_says_what_was_excluded(folder: Path, run: Recommender) -> None:
    for user in NAMES:
        hidden = [part for one in run.recommend(user, 3) for part in ("--exclude", one.item)]
        told = asked("recommend", folder, "--user", user, "-k", "6", "--explain", "--view", "operator", *hidden)
        assert told["exclude"] == hidden[1::2]
        assert dynmm("verify", folder, "-", given=json.dumps(told)).exit_code == 0
        for one in told["items"]:
            assert dynmm("verify", folder, "-", *hidden, given=json.dumps(one["rationale"])).exit_code == 0
        assert "exclude is no list of names" in refused("verify", folder, "-", given=json.dumps({**told, "exclude": 3}))
        break
