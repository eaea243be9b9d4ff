"""A small world for tests of the whole: users walk in circles, so that what follows can be learned."""

from __future__ import annotations

import numpy as np
import polars as pl

from dynmm import Dataset, DatasetInfo

DAY = 86_400_000
START = 1_600_000_000_000

#: Small enough to fit in a second or two.
QUICK = {
    "backbone": {"width": 32, "inner": 32, "epochs": 12, "learning_rate": 0.01, "batch_places": 256},
    "encoders": {"text": "hashed-words"},
    "fusion": {"learning_rate": 0.01},
}


def circles(users: int = 60, items: int = 30, events: int = 12, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Interactions and items. User u starts somewhere and takes the next item of the circle, hour by hour."""
    random = np.random.default_rng(seed)
    starts = random.integers(0, items, users)
    steps = np.arange(events)
    interactions = pl.DataFrame(
        {
            "user_id": np.repeat([f"u{user}" for user in range(users)], events),
            "item_id": [f"i{item}" for item in ((starts[:, None] + steps) % items).ravel()],
            "timestamp": (START + (np.arange(users)[:, None] * 7 + steps * 60) * 60_000).ravel(),
        }
    )
    catalogue = pl.DataFrame(
        {"item_id": [f"i{item}" for item in range(items)], "title": [f"Film {item}" for item in range(items)]}
    )
    return interactions, catalogue


def circle_data(**shape: int) -> Dataset:
    interactions, items = circles(**shape)
    return Dataset.from_frames(interactions, items, info=DatasetInfo("circles", "film", "watched", "second"))


def write_circles(folder: str, **shape: int) -> None:
    """The same world as a canonical folder without `dataset.json`."""
    interactions, items = circles(**shape)
    interactions.write_parquet(f"{folder}/interactions.parquet")
    items.write_parquet(f"{folder}/items.parquet")
