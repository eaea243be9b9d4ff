"""Language models as a fit opens them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.assembly.walks import walk_config, world
from tests.language.tiny import tiny_folder

from dynmm import Recommender
from dynmm.assembly import FitOptions, reranking
from dynmm.assembly.rankers import open_frozen
from dynmm.errors import ModelError
from dynmm.language.learning import learn
from dynmm.language.settings import LanguageSettings
from dynmm.stages import StageCache


@pytest.mark.parametrize("weights", ["pretrained", "random"])
@pytest.mark.parametrize("recompute", [False, True])
def test_layers_are_computed_again_where_that_is_asked_for(weights: Any, recompute: bool, tmp_path: Path) -> None:
    folder = tiny_folder("llama", tmp_path / "model")
    language = LanguageSettings(model=str(folder), precision="float32", weights=weights, recompute=recompute)
    model: Any = open_frozen(language, [], 0, torch.device("cpu"), StageCache(tmp_path / "cache")).model
    assert any("forward" in vars(layer) for layer in model.library.modules()) is recompute


def test_a_model_that_moved_while_it_was_trained_around_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_folder("llama", tmp_path / "model")

    def moved(ranker: Any, *rest: Any, **named: Any) -> Any:
        ranker.model.library.get_input_embeddings().weight.data[5] += 1.0
        return learn(ranker, *rest, **named)

    monkeypatch.setattr(reranking, "learn", moved)
    config = walk_config(rerank="language", language={"model": str(folder), "epochs": 1, "precision": "float32"})
    with pytest.raises(ModelError, match="the parameters of a frozen model have changed"):
        Recommender.fit(world(), config, split="full", options=FitOptions("cpu", cache=tmp_path / "cache"))
