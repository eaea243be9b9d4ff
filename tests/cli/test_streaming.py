"""What `dynmm stream` tells on the console."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.worlds import QUICK, circles

from dynmm import Dataset, DatasetInfo, Recommender
from dynmm.assembly import FitOptions
from dynmm.cli import main


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    interactions, items = circles()
    data = Dataset.from_frames(interactions, items, info=DatasetInfo("circles", "film", "watched", "second"))
    folder = tmp_path_factory.mktemp("runs") / "run"
    options = FitOptions(cache=tmp_path_factory.mktemp("cache"))
    config = {**QUICK, "encoders": {"text": "off"}, "rerank": "none"}
    Recommender.fit(data, config, split="stream", seed=3, options=options).save_pretrained(folder)
    return folder


def test_accuracy_cost_and_what_is_kept_of_the_old_are_told(run: Path) -> None:
    found = CliRunner().invoke(main, ["stream", str(run), "--system", "popularity", "-q"])
    assert found.exit_code == 0, found.output
    lines = found.output.splitlines()
    assert any(line.startswith("stream/event: ") for line in lines)
    assert any("averaged over users" in line for line in lines)
    for system in ("dynmm", "dynmm/static", "popularity"):
        cost = next(line for line in lines if line.startswith(f"{system}: ") and "s learning" in line)
        assert "from an event to its effect" in cost
        kept = [line for line in lines if line.startswith(f"{system}: HR@10 of validation's questions ")]
        assert len(kept) == 1
        assert "after it" in kept[0]
