"""Runs to learn with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.assembly.live.made import CONFIG
from tests.worlds import circles

from dynmm import Dataset, DatasetInfo, Recommender
from dynmm.assembly import FitOptions


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with titles, evidence and an adapter, fitted to everything."""
    interactions, items = circles()
    data = Dataset.from_frames(interactions, items, info=DatasetInfo("circles", "film", "watched", "second"))
    options = FitOptions(cache=tmp_path_factory.mktemp("cache"))
    run = tmp_path_factory.mktemp("runs") / "run"
    Recommender.fit(data, CONFIG, split="none", seed=3, options=options).save_pretrained(run)
    return run


@pytest.fixture
def run(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "run"))


@pytest.fixture
def twin(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "twin"))


@pytest.fixture
def unsaved(saved: Path) -> Recommender:
    loaded = Recommender.from_pretrained(saved)
    loaded.live = None
    return loaded
