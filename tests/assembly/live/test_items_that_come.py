"""Items that come to a run: what a log once tells of must be readable whenever it is read again."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.assembly.live.made import events_of, state_of

from dynmm import Recommender
from dynmm.assembly.snapshotting import live_sha256


@pytest.mark.parametrize("values", [(["sad"], "sad"), (datetime.date(2020, 1, 1), ["sad"])])
def test_a_further_column_may_come_in_another_type(run: Path, values: tuple[Any, Any]) -> None:
    """It was refused once the log told of the items, and then whenever the run was opened."""
    with Recommender.from_pretrained(run) as recommender:
        for number, value in enumerate(values):
            recommender.add_items([{"item_id": f"new{number}", "title": "Film 5", "mood": value}])
        recommender.learn(events_of(10))
        state = live_sha256(recommender)
        recommender.explain("u1", "new1")
    assert state_of(run) == state
