"""What a fit says while it trains re-rankers."""

from __future__ import annotations

from pathlib import Path

from tests.assembly.walks import walk_config, world

from dynmm import Recommender
from dynmm.assembly import FitOptions


def test_epochs_of_a_re_ranker_stand_under_its_name(tmp_path: Path) -> None:
    """Also where its questions are made after it was named, because the cache told how many there are."""
    told: list[str] = []
    epochs: list[str] = []
    options = FitOptions("cpu", cache=tmp_path, on_stage=told.append, on_epoch=lambda report: epochs.append(told[-1]))
    for kind in ("mlp", "transformer"):
        told.clear()
        epochs.clear()
        Recommender.fit(world(), walk_config(rerank=kind), split="full", seed=1, options=options)
        assert epochs.count(f"re-ranker: {kind}") == 6
        assert "what re-rankers learn from" in told
        assert "what re-rankers learn from" not in epochs
