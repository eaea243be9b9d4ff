"""The small world that most of these tests fit, once a module."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.assembly.made import BRIEF, write_world

from dynmm import Recommender
from dynmm.assembly import FitOptions


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> FitOptions:
    """A cache of the module's own: stages common to its fits are trained once."""
    return FitOptions(cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def told(world: Path, options: FitOptions) -> Recommender:
    """A run whose strongest evidence is told whatever validation says of it."""
    return Recommender.fit(world, {**BRIEF, "evidence": {"strengths": [1.0]}}, split="full", seed=3, options=options)
