"""The language model of a run as a comparison system of its own, by titles alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.assembly.walks import walk_config, world
from tests.language.tiny import tiny_folder

from dynmm import Recommender
from dynmm.assembly import FitOptions
from dynmm.errors import ConfigError, ModelError, UnsupportedByData
from dynmm.measurement import evaluate


def _run(tmp_path: Path, **changes: object) -> Recommender:
    options = FitOptions("cpu", cache=tmp_path / "cache")
    return Recommender.fit(world(), walk_config(**changes), split="full", seed=1, options=options)


@pytest.mark.parametrize("kind", ["llama", "bert"])
def test_a_run_with_a_causal_model_is_measured_beside_its_titles_alone(tmp_path: Path, kind: str) -> None:
    folder = tiny_folder(kind, tmp_path / "model", max_position_embeddings=2048)
    language = {"model": str(folder), "precision": "float32", "epochs": 1}
    run = _run(tmp_path, rerank="language", language=language)
    if kind == "bert":
        with pytest.raises(ModelError, match="an encoder gives no likelihood"):
            evaluate(run, systems=["llm-only"])
        return
    told = evaluate(run, systems=["llm-only", "popularity"])
    below, alone = told["systems"]["dynmm/evidence"], told["systems"]["llm-only"]
    # It orders the best 20 of the stages below: what is among them stays among them.
    assert alone["hit@20"]["mean"] == below["hit@20"]["mean"] > alone["hit@5"]["mean"]
    assert alone["ndcg@10"]["mean"] != below["ndcg@10"]["mean"]


def test_a_run_without_a_language_model_says_what_to_do(tmp_path: Path) -> None:
    run = _run(tmp_path, rerank="none")
    with pytest.raises(UnsupportedByData, match="fit it with rerank=language"):
        evaluate(run, systems=["llm-only"])
    with pytest.raises(ConfigError, match="of a run with a language model llm-only"):
        evaluate(run, systems=["llm"])
