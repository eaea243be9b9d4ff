"""What the adapter is told of a user when it observes an event."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tests.adapter.made import HOUR, ITEMS, Products, adapter_of
from tests.worlds import QUICK, circle_data

from dynmm import Dataset, DatasetInfo, Recommender
from dynmm.adapter.lessons import Asked
from dynmm.adapter.online import OnlineAdapter
from dynmm.assembly.moving import Moving
from dynmm.assembly.streamed import with_adapter
from dynmm.assembly.whole import whole_of
from dynmm.system import Query
from dynmm.types import Events

START = 400_000 * HOUR

#: (user, item, time): user 0 is known before, and takes two items within an hour, one in the next; user 1 is new.
STREAM = [(0, 2, START + 1), (1, 3, START + 2), (0, 4, START + 3), (1, 5, START + 4), (0, 6, START + HOUR + 1)]


def _known() -> Dataset:
    rows = pl.DataFrame(
        {"user_id": ["a", "b"], "item_id": ["00", "01"], "timestamp": [START - HOUR, START - HOUR]},
    )
    items = pl.DataFrame({"item_id": [f"{item:02}" for item in range(ITEMS)]})
    return Dataset.from_frames(rows, items=items, info=DatasetInfo(name="two"))


def _events(rows: list[tuple[int, int, int]]) -> Events:
    users, items, times = (np.asarray(column) for column in zip(*rows, strict=True))
    return Events(users.astype(np.int32), items.astype(np.int32), times.astype(np.int64))


def _histories(asked_by: str | None, piece: int) -> tuple[list[list[int]], str]:
    """What is known of the user of each event of the stream, and the hash of all that moves in the end."""
    moving, asked = Moving(adapter_of(), _known(), asked_by=asked_by), []

    def ask(query: Query) -> Products:
        asked.append(query.history.items.tolist())
        return Products(query)

    for start in range(0, len(STREAM), piece):
        moving.learn(_events(STREAM[start : start + piece]), ask, lambda _: None)
    return asked, moving.sha256()


@pytest.mark.parametrize(
    ("asked_by", "known"),
    [(None, [[0], [1], [0, 2], [1, 3], [0, 2, 4]]), ("1h", [[0], [1], [0], [1], [0, 2, 4]])],
)
def test_a_user_is_known_up_to_the_event_or_up_to_its_window(asked_by: str | None, known: list[list[int]]) -> None:
    assert _histories(asked_by, len(STREAM))[0] == known


@pytest.mark.parametrize("asked_by", [None, "1h"])
def test_it_is_the_same_in_pieces_or_at_once(asked_by: str | None) -> None:
    assert _histories(asked_by, 1) == _histories(asked_by, len(STREAM))


@pytest.mark.parametrize("replayed", [False, True])
@pytest.mark.parametrize("window", [None, "2h"])
def test_the_adapter_of_a_run_is_asked_as_the_run_was_fitted(
    window: str | None, replayed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {**QUICK, "fusion": {"variant": "off"}, "evidence": {"variant": "off"}, "split": {"stream_window": window}}
    run = Recommender.fit(circle_data(), config, split="stream", seed=1)
    within = []

    def observed(_: OnlineAdapter, user: int, item: int, asked: Asked) -> None:
        times, moment = asked.query.history.timestamps, asked.query.as_of
        assert moment is not None
        if times is not None and len(times):
            within.append(times[-1] >= moment // (2 * HOUR) * (2 * HOUR))

    monkeypatch.setattr(OnlineAdapter, "observe", observed)
    assert run.split is not None
    assert run.split.stream is not None
    (with_adapter(run, "2h") if replayed else whole_of(run)).learn(run.split.stream)
    assert len(within) > 50
    assert any(within) == (window is None)
