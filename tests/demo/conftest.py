"""One fitted world with pictures and sounds, shared by the tests of the demo's parts."""

from __future__ import annotations

import pytest
from tests.demo.made import REASONED, STAYS

from dynmm.assembly import FitOptions, fit
from dynmm.catalogue.content import AUDIO, IMAGE, TEXT, Modality
from dynmm.demo import sensing
from dynmm.demo.sensing import Search, search
from dynmm.demo.worlds import Newcomers, world_with_newcomers
from dynmm.recommender import Recommender


@pytest.fixture(scope="session")
def new() -> Newcomers:
    return world_with_newcomers(0, users=80, items=80, events=2_000, newcomers=12)


@pytest.fixture(scope="session")
def fitted(new: Newcomers, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    """Fitted to the world, the newcomers added. Read only."""
    cache = tmp_path_factory.mktemp("cache")
    recommender = fit(new.data, REASONED, split="full", options=FitOptions("cpu", cache)).recommender
    recommender.add_items(new.items, new.media, cache=cache)
    return recommender


@pytest.fixture(scope="session")
def found(fitted: Recommender) -> dict[Modality, Search]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sensing, "STAYS", STAYS)
        return {one.modality: one for one in search(fitted, (IMAGE, AUDIO, TEXT))}
