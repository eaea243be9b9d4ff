"""Events whose items have not come: few wait, in the order of the log, and how many wait no more is known."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
from tests.assembly.live.made import CONFIG, events_of, state_of
from tests.worlds import DAY, START, circles

from dynmm import Dataset, DatasetInfo, Recommender
from dynmm.assembly import FitOptions, live_of
from dynmm.assembly.snapshotting import live_sha256


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    interactions, items = circles()
    data = Dataset.from_frames(interactions, items, info=DatasetInfo("circles", "film", "watched", "second"))
    home = tmp_path_factory.mktemp("narrow")
    config = {**CONFIG, "stream": {"most_held": 3, "snapshot_every": 8}}
    fitted = Recommender.fit(data, config, split="none", seed=3, options=FitOptions(cache=home / "cache"))
    fitted.save_pretrained(home / "run")
    return home / "run"


def _early(number: int, item: str) -> dict[str, object]:
    return {"event_id": f"early{number}", "user_id": "u1", "item_id": item, "timestamp": START + 200 * DAY + number}


def test_the_oldest_waits_no_more_where_too_many_do(
    narrow: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = shutil.copytree(narrow, tmp_path / "run")
    with caplog.at_level(logging.WARNING), Recommender.from_pretrained(run) as recommender:
        recommender.learn([_early(0, "fresh"), _early(1, "never"), _early(2, "fresh")])
        assert (recommender.held, live_of(recommender).let_go) == (3, 0)
        assert "let go" not in caplog.text
        recommender.learn([_early(3, "nobody"), *events_of(5), _early(4, "fresh")])
        assert (recommender.held, live_of(recommender).let_go, recommender.counted) == (3, 2, 5)
        recommender.learn([_early(5, "nobody")])
        assert caplog.text.count("more than 3 events wait for items that have not come") == 1
        # Events 3, 4 and 5 wait: of those of the item that comes, only one.
        recommender.add_items([{"item_id": "fresh", "title": "Film 7"}])
        assert (recommender.held, live_of(recommender).let_go, recommender.counted) == (2, 3, 6)
        state = live_sha256(recommender)
        assert recommender.history("u1").count("fresh") == 1
    assert live_of(Recommender.from_pretrained(run)).let_go == 3
    assert state_of(run) == state
    shutil.rmtree(run / "state" / "snapshots")
    assert state_of(run) == state
    assert live_of(Recommender.from_pretrained(run)).let_go == 3


def test_none_may_wait(narrow: Path, tmp_path: Path) -> None:
    with Recommender.from_pretrained(shutil.copytree(narrow, tmp_path / "run")) as recommender:
        live = live_of(recommender)
        live.settings = live.settings.model_copy(update={"most_held": 0})
        recommender.learn([_early(0, "fresh"), *events_of(3)])
        assert (recommender.held, live.let_go, recommender.counted) == (0, 1, 3)
