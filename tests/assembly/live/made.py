"""A small run that goes on learning, and events for it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.worlds import DAY, QUICK, START

from dynmm import Recommender
from dynmm.assembly.snapshotting import live_sha256

ADAPTER = {
    "guard_events": 5,
    "half_life": 50,
    "hidden": 16,
    "dims": 4,
    "near": 6,
    "negatives": 4,
    "step_events": 8,
    "drift": False,
}
CONFIG = {**QUICK, "encoders": {"text": "hashed-words"}, "adapter": ADAPTER, "rerank": "none"}


def events_of(count: int = 240, seed: int = 1) -> list[dict[str, Any]]:
    draws = random.Random(seed)
    start = START + 100 * DAY
    return [
        {
            "event_id": f"e{n}",
            "user_id": f"u{draws.randrange(70)}",
            "item_id": f"i{draws.randrange(30)}",
            "timestamp": start + n * 600_000,
        }
        for n in range(count)
    ]


def learn_all(run: Path, events: Sequence[dict[str, Any]], *, piece: int | None = None) -> str:
    """The state after a run has learned these events, all at once or in pieces."""
    with Recommender.from_pretrained(run) as recommender:
        for start in range(0, len(events), piece or len(events)):
            recommender.learn(list(events[start : start + (piece or len(events))]))
        return live_sha256(recommender)


def state_of(run: Path) -> str:
    return live_sha256(Recommender.from_pretrained(run))
