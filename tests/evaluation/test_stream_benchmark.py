"""What `benchmarks/streams.py` did not measure is named beside its ratios, there and in the guide."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from tests.worlds import circle_data

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
    usual = streams.usual_names(data)
    assert "online-item-knn" in usual
    assert streams.left_out(data, usual) == ["backbone-retrained-7d"]
    assert set(streams.left_out(data, ["popularity"])) == {*usual, "backbone-retrained-7d"} - {"popularity"}


def test_the_guide_says_of_each_ratio_whether_the_retrained_backbone_was_measured() -> None:
    guide = (ROOT / "docs" / "guides" / "online.md").read_text()
    figures = guide.partition("<!-- stream-figures -->")[2].partition("<!-- /stream-figures -->")[0]
    tables = figures.split("| system | HR@10 | NDCG@10 |")[1:]
    assert len(tables) == 3
    for table in tables:
        (ratio,) = (line for line in table.splitlines() if " of the best comparison" in line)
        measured = "the backbone trained anew" in table.partition("\n\n")[0]
        assert measured != ("the backbone trained anew was not measured here" in ratio)
