"""Recent popularity beside a run: in no protocol that lists it does it count an empty window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from tests.worlds import DAY, QUICK, START, circles

from dynmm import Dataset, DatasetInfo, Recommender
from dynmm.assembly import FitOptions, fit
from dynmm.baselines.recent_popularity import RecentPopularity
from dynmm.measurement import evaluate, stream
from dynmm.system import Query

RECENT = ("recent-popularity-1d", "recent-popularity-7d")
NOTE = "days before the question"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Filled with the events in the window of each question that recent popularity answers."""
    found: list[float] = []
    score = RecentPopularity._score

    def watched(self: RecentPopularity, queries: Sequence[Query]) -> torch.Tensor:
        counts = score(self, queries)
        found.extend(counts.sum(1).tolist())
        return counts

    monkeypatch.setattr(RecentPopularity, "_score", watched)
    return found


def _three_weeks() -> Dataset:
    """A new user every six hours, who takes an item every three: whatever is asked, something had just happened."""
    interactions, items = circles(items=130)
    hours = np.arange(60)[:, None] * 6 + np.arange(12) * 3
    times = START + hours.ravel() * (DAY // 24)
    moments = np.quantile(times, [0.8, 0.9])
    parts = np.array(["train", "val", "test"])[np.digitize(times, moments)]
    interactions = interactions.with_columns(pl.Series("timestamp", times), pl.Series("split", parts))
    return Dataset.from_frames(interactions, items, info=DatasetInfo("circles", "film", "watched", "second"))


def _run(split: dict[str, Any], cache: Path) -> Recommender:
    off = {"evidence": {"variant": "off"}, "rerank": "none", "fusion": {"variant": "off"}}
    config = {**QUICK, **off, "split": {"k_core": 0, **split}}
    return fit(_three_weeks(), config, seed=3, options=FitOptions(cache=cache)).recommender


@pytest.mark.parametrize(
    ("split", "protocol"),
    [
        ({"name": "full"}, "full"),
        ({"name": "full"}, "sampled"),
        ({"name": "holdout", "by": "user"}, "holdout"),
        ({"name": "holdout", "by": "time"}, "holdout"),
        ({"name": "holdout", "by": "given"}, "holdout"),
        ({"name": "cold"}, "cold"),
    ],
)
def test_the_window_holds_events_in_each_protocol(
    tmp_path: Path, counted: list[float], split: dict[str, Any], protocol: str
) -> None:
    result = evaluate(_run(split, tmp_path), protocol, RECENT)
    assert min(counted) > 0
    told = [note for note in result["notes"] if NOTE in note]
    assert len(told) == (protocol == "holdout")


def test_in_a_stream_the_window_ends_with_the_question(tmp_path: Path, counted: list[float]) -> None:
    result = stream(_run({"name": "stream"}, tmp_path), systems=RECENT)
    assert min(counted) > 0
    assert not any(NOTE in note for note in result["notes"])


def test_nothing_is_said_of_a_window_where_nobody_counts_in_one(tmp_path: Path) -> None:
    result = evaluate(_run({"name": "holdout", "by": "time"}, tmp_path), systems=["popularity"])
    assert not any(NOTE in note for note in result["notes"])
