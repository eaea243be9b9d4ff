"""Language models as a fit opens them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.language.tiny import tiny_folder

from dynmm.assembly.rankers import open_frozen
from dynmm.language.settings import LanguageSettings
from dynmm.stages import StageCache


@pytest.mark.parametrize("weights", ["pretrained", "random"])
@pytest.mark.parametrize("recompute", [False, True])
def test_layers_are_computed_again_where_that_is_asked_for(weights: Any, recompute: bool, tmp_path: Path) -> None:
    folder = tiny_folder("llama", tmp_path / "model")
    language = LanguageSettings(model=str(folder), precision="float32", weights=weights, recompute=recompute)
    model: Any = open_frozen(language, [], 0, torch.device("cpu"), StageCache(tmp_path / "cache")).model
    assert any("forward" in vars(layer) for layer in model.library.modules()) is recompute
