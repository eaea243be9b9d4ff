"""Runs of a moment over the circle of `tests.worlds`, whose items have vectors that tell their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from tests.fusion.made import places
from tests.worlds import write_circles

BRIEF: dict[str, Any] = {
    "backbone": {"width": 16, "inner": 16, "epochs": 4, "learning_rate": 0.01, "batch_places": 256},
    "fusion": {"hidden": 16, "epochs": 4, "learning_rate": 0.01},
    "encoders": {"text": "precomputed", "image": "off", "audio": "off"},
}


def write_vectors(folder: Path, items: dict[str, int], name: str = "text-place", width: int = 8) -> Path:
    """A feature file: item id -> place on the circle of 30. Returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    vectors = places(width=width).vectors[np.asarray(list(items.values())) % 30]
    column = pl.Series(vectors.tolist(), dtype=pl.Array(pl.Float32, width))
    pl.DataFrame({"item_id": list(items), "vector": column}).write_parquet(folder / f"{name}.parquet")
    return folder


def write_world(folder: Path) -> Path:
    """The circle as a canonical folder, with vectors for every item but i29."""
    write_circles(str(folder))
    write_vectors(folder / "features", {f"i{place}": place for place in range(29)})
    return folder
