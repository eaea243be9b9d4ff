"""Walks around a circle of items: a world small enough for every re-ranker, and settings that fit them in seconds."""

from __future__ import annotations

from typing import Any

import polars as pl
from tests.assembly.made import BRIEF
from tests.worlds import DAY, START

from dynmm import Dataset, DatasetInfo, Recommender
from dynmm.assembly.reranked import Reranked
from dynmm.assembly.whole import whole_of
from dynmm.randomness import generator

ITEMS, USERS = 40, 200
NAMES = [f"u{user:03d}" for user in range(0, USERS, 23)]


def walks(walkers: int) -> list[tuple[str, str, int]]:
    """Each user walks the circle by one step or two, now and then by chance."""
    draws = generator(0, "walks")
    rows = []
    for user in range(walkers):
        item = int(draws.integers(ITEMS))
        for place in range(8):
            rows.append((f"u{user:03d}", f"i{item:02d}", START + DAY * (user + 10 * place)))
            item = (item + 1 + user % 2) % ITEMS if draws.random() < 0.8 else int(draws.integers(ITEMS))
    return rows


def world() -> Dataset:
    frame = pl.DataFrame(walks(USERS), schema=["user_id", "item_id", "timestamp"], orient="row")
    table = pl.DataFrame(
        {
            "item_id": [f"i{item:02d}" for item in range(ITEMS)],
            "title": [f"Walk {item // 4} number {item % 3}" for item in range(ITEMS)],
        }
    )
    return Dataset.from_frames(frame, table, info=DatasetInfo("walks", time_resolution="second"))


def walk_config(**changes: Any) -> dict[str, Any]:
    asked = {
        "least_users": 20,
        "candidates": 20,
        "epochs": 6,
        "batch": 16,
        "hidden": 16,
        "rank": 4,
        "gammas": [1.0],
        "learning_rate": 0.05,
    }
    encoders = {"text": "hashed-words", "image": "off", "audio": "off"}
    return BRIEF | {"encoders": encoders, "reranking": asked, "evidence": {"strengths": [1.0]}} | changes


def serve(recommender: Recommender, kind: str) -> Reranked:
    """Let a fitted kind rank, whatever validation prefers in a world this small."""
    reranked = whole_of(recommender).reranked
    assert reranked is not None
    object.__setattr__(reranked, "chosen", kind)
    return reranked
