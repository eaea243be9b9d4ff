"""Columns of a catalogue whose names meet others, or are none, in a whole run."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from tests.assembly.made import BRIEF, write_world

from dynmm import Recommender
from dynmm.assembly import FitOptions


def test_importance_tells_an_attribute_from_a_modality_of_its_name(tmp_path: Path) -> None:
    folder, options = write_world(tmp_path), FitOptions(cache=tmp_path / "cache")
    items = pl.read_parquet(folder / "items.parquet")
    values = pl.Series("text", [f"value {place % 3}" for place in range(len(items))])
    items.with_columns(values, values.alias("")).write_parquet(folder / "items.parquet")
    run = Recommender.fit(folder, {**BRIEF, "evidence": {"strengths": [1.0]}}, split="full", seed=3, options=options)
    assert any("a column without a name" in note for note in run.facts["notes"])
    assert run.verify(run.explain("u0", "i3").rationale).holds
    both = [found for item in run.items.ids for found in [run.importance("u0", item)] if "text (attribute)" in found]
    assert both
    for found in both:
        assert "text" not in found
    assert any("text (modality)" in found for found in both)
