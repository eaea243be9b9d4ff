"""What `benchmarks/streams.py` did not measure is named beside its ratios, there and in the guide."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from tests.worlds import QUICK, circle_data

from dynmm import Recommender
from dynmm.assembly import known_events
from dynmm.evaluation.replay import Stream
from dynmm.evaluation.streams import run_stream
from dynmm.interactions.splits import make_split
from dynmm.interactions.splits.settings import SplitConfig
from dynmm.measurement import comparison_names
from dynmm.system import Query

ROOT = Path(__file__).parents[2]


def _benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("streams_benchmark", ROOT / "benchmarks" / "streams.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_comparisons_that_were_not_measured_are_named() -> None:
    streams, data = _benchmark(), circle_data()
    every = comparison_names(data, stream=True)
    assert {"online-item-knn", "backbone-retrained-7d"} <= set(every)
    assert streams.left_out(data, every) == []
    assert set(streams.left_out(data, ["popularity"])) == {*every} - {"popularity"}


def test_the_retrained_backbone_is_one_for_each_seed() -> None:
    streams, data = _benchmark(), circle_data()
    runs = [Recommender.fit(data, QUICK, split="stream", seed=seed) for seed in (1, 2)]
    retrained = list(streams._retrained(runs))
    assert {one.name for one in retrained} == {"backbone-retrained-7d"}
    queries = [Query(data.history(0), None)]
    first, second = (one.rank(queries, 10).items.tolist() for one in retrained)
    assert first != second
    assert "backbone-retrained-7d" not in streams._seedless(["popularity", "backbone-retrained-7d"])


def test_a_replay_that_is_kept_is_read_in_place_of_another(tmp_path: Path) -> None:
    streams = _benchmark()
    source = make_split(circle_data(), SplitConfig(name="stream"), 0)
    base = known_events(source)
    assert source.stream is not None
    stream = Stream.of(base, source.stream, mode="event", window="1h")
    made: list[str] = []

    def seen(what: str) -> dict[str, Any]:
        def kept(name: str, number: int, through: Any) -> Any:
            def watched() -> Any:
                made.append(name)
                return through()

            return streams._kept(tmp_path / "kept", what, [], names, name, number, watched)

        names = ("popularity", "item-knn")
        lineup = {name: streams._fitted(name, base) for name in names}
        outcome = run_stream(stream, lineup, retention=source.validation, replaying=kept)
        found = {name: runs[0] for name, runs in outcome.replays.items()}
        assert all(one.retention is not None for one in found.values())
        return {name: vars(one) for name, one in found.items()}

    first, again = seen("data"), seen("data")
    assert made == ["popularity", "item-knn"]
    np.testing.assert_equal(again, first)
    hits = [first[name]["values"]["hit@10"] for name in made]
    assert not np.array_equal(*hits)
    seen("other data")
    assert len(made) == 4


def test_the_guide_says_of_each_ratio_whether_the_retrained_backbone_was_measured() -> None:
    guide = (ROOT / "docs" / "guides" / "online.md").read_text()
    figures = guide.partition("<!-- stream-figures -->")[2].partition("<!-- /stream-figures -->")[0]
    tables = figures.split("| system | HR@10 | NDCG@10 |")[1:]
    assert len(tables) == 3
    for table in tables:
        (ratio,) = (line for line in table.splitlines() if " of the best comparison" in line)
        measured = "the backbone trained anew" in table.partition("\n\n")[0]
        assert measured != ("the backbone trained anew was not measured here" in ratio)
