"""A guest's system passes the contract suite; each way of breaking the contract is caught by name."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynmm.errors import UnsupportedByData
from dynmm.interactions.dataset import Dataset
from dynmm.system import Query, Rankings, System
from dynmm.testing import SYSTEM_CHECKS, ContractBroken, check_system
from dynmm.types import Events

_FILE = Path(__file__).with_name("outsider_baseline.py")


def _load() -> Any:
    """The file's module, imported by its path as a guest's would be."""
    spec = importlib.util.spec_from_file_location("outsider_baseline", _FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


NextItem: Any = _load().NextItem


@pytest.mark.parametrize("check", SYSTEM_CHECKS, ids=lambda check: str(check.__name__))
def test_a_guest_passes(check: Callable[[Callable[[], System]], None]) -> None:
    check(NextItem)


def test_a_guest_passes_all_at_once_with_a_floor() -> None:
    check_system(NextItem, floor=0.6)


def test_a_floor_beyond_reach_is_reported_with_what_was_reached() -> None:
    with pytest.raises(ContractBroken, match=r"at least 0\.99: it is 0\."):
        check_system(NextItem, floor=0.99)


class Nameless(NextItem):  # type: ignore[misc]
    name = ""


class Refuses(NextItem):  # type: ignore[misc]
    def fit(self, dataset: Dataset) -> None:
        raise UnsupportedByData("never enough")


class KeepsExcluded(NextItem):  # type: ignore[misc]
    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        found: Rankings = super().rank([Query(query.history, query.as_of, query.candidates) for query in queries], k)
        return found


class IgnoresCandidates(NextItem):  # type: ignore[misc]
    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        found: Rankings = super().rank(
            [Query(query.history, query.as_of, exclude=query.exclude) for query in queries], k
        )
        return found


class WorstFirst(NextItem):  # type: ignore[misc]
    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        rankings = super().rank(queries, k)
        return Rankings(rankings.items[:, ::-1].copy(), rankings.scores[:, ::-1].copy())


class GivesUpWithoutHistory(NextItem):  # type: ignore[misc]
    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        rankings: Rankings = super().rank(queries, k)
        for row, query in enumerate(queries):
            if not len(query.history):
                rankings.items[row], rankings.scores[row] = -1, -np.inf
        return rankings


class CountsItsQuestions(NextItem):  # type: ignore[misc]
    asked = 0

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        self.asked += 1
        found: Rankings = super().rank(queries, k)
        return found


class DrawsFromTheGlobalGenerator(NextItem):  # type: ignore[misc]
    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        np.random.random()
        found: Rankings = super().rank(queries, k)
        return found


class RanksByTheWholeBatch(NextItem):  # type: ignore[misc]
    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        rankings = super().rank(queries, k)
        return Rankings(rankings.items, rankings.scores * np.float32(len(queries)))


class FitsByChance(NextItem):  # type: ignore[misc]
    def fit(self, dataset: Dataset) -> None:
        super().fit(dataset)
        self._follows += np.random.default_rng().random(self._follows.shape, np.float32)


class RemembersTheFitBefore(NextItem):  # type: ignore[misc]
    def fit(self, dataset: Dataset) -> None:
        before = getattr(self, "_fits", 0)
        super().fit(dataset)
        self._fits = before + 1
        self._follows *= self._fits


class WritesIntoItsData(NextItem):  # type: ignore[misc]
    def fit(self, dataset: Dataset) -> None:
        super().fit(dataset)
        if dataset.events.items.flags.writeable:
            dataset.events.items[0] = 0 if dataset.events.items[0] else 1


class ReturnsFromLearn(NextItem):  # type: ignore[misc]
    def learn(self, events: Events) -> None:
        return len(events)  # type: ignore[return-value]


class ClaimsToLearn(NextItem):  # type: ignore[misc]
    learns_online = True


BROKEN: dict[type[Any], str] = {
    Nameless: "has a name",
    Refuses: "is not refused",
    KeepsExcluded: "nothing that is excluded",
    IgnoresCandidates: "only candidates",
    WorstFirst: "scores never rise|padding",
    GivesUpWithoutHistory: "every candidate is ranked",
    CountsItsQuestions: "rank changes no state",
    DrawsFromTheGlobalGenerator: "rank changes no state",
    RanksByTheWholeBatch: "alone what it gets in a batch",
    FitsByChance: "the same seed and data",
    RemembersTheFitBefore: "forgets the fit before",
    WritesIntoItsData: "leave the arrays",
    ReturnsFromLearn: "learn returns nothing",
    ClaimsToLearn: "learns_online is True",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: str(broken.__name__))
def test_what_breaks_the_contract_is_caught_by_name(broken: type[Any]) -> None:
    with pytest.raises(ContractBroken, match=BROKEN[broken]):
        check_system(broken)
