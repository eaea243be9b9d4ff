"""Small data sets for the tests of interactions, and where real ones lie."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dynmm.interactions.dataset import Dataset

DAY = 86_400_000
START = 1_600_000_000_000


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Dataset]:
    """Load one of the public data sets by name; skips where they are not on this machine."""

    def load(name: str) -> Dataset:
        folder = os.environ.get("DYNMM_DATA")
        if not folder or not (Path(folder) / name).is_dir():
            pytest.skip(f"DYNMM_DATA does not name a folder with {name}")
        return Dataset.load(Path(folder) / name)

    return load


@pytest.fixture(scope="session")
def random_frame() -> Callable[..., pl.DataFrame]:
    """A seeded frame of interactions; `time` is second, order or none. Few distinct seconds make ties."""

    def make(
        seed: int = 0,
        *,
        users: int = 30,
        items: int = 20,
        events: int = 300,
        time: str = "second",
        seconds: int = 10**6,
    ) -> pl.DataFrame:
        random = np.random.default_rng(seed)
        frame = pl.DataFrame(
            {
                "user_id": [f"u{number}" for number in random.integers(0, users, events)],
                "item_id": [f"i{number}" for number in random.zipf(1.3, events) % items],
            }
        )
        if time == "second":
            frame = frame.with_columns(pl.Series("timestamp", START + 1000 * random.integers(0, seconds, events)))
        if time == "order":
            frame = frame.with_columns(pl.int_range(pl.len()).over("user_id").cast(pl.Int32).alias("position"))
        return frame

    return make


@pytest.fixture(scope="session")
def random_data(random_frame: Callable[..., pl.DataFrame]) -> Callable[..., Dataset]:
    """As `random_frame`, loaded."""
    return lambda *args, **options: Dataset.from_frames(random_frame(*args, **options))
