"""A fitted re-ranker in a service: questions of several threads are read together where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from tests.language import slate_samples
from tests.language.reading import ranker
from torch import Tensor

from dynmm.config import Config
from dynmm.errors import ConfigError
from dynmm.language.slates import Shelf, Slates
from dynmm.language.system import BATCH_ROWS, Reranking, RerankSystem
from dynmm.system import Query, Rankings
from dynmm.testing.state import state_hash
from dynmm.types import Events, UserHistory

SHELF = slate_samples.shelf()


class Counted:
    """A re-ranker that remembers how many rows each run had."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, slates: Slates, shelf: Shelf) -> Tensor:
        self.rows.append(len(slates))
        return 2 * slates.latent


def _asked_by_threads(reranking: Reranking, slates: Slates) -> list[Tensor]:
    rows = [slates.take(slice(row, row + 1)) for row in range(len(slates))]
    with ThreadPoolExecutor(len(rows)) as threads:
        return list(threads.map(lambda one: reranking.terms(one, SHELF).values, rows))


def test_threads_share_a_run_and_each_gets_its_own() -> None:
    asked, counted = slate_samples.slates(BATCH_ROWS), Counted()
    # The run begins when it is full: nobody waits so long.
    reranking = Reranking("language", counted, 0.5, 5, batch_wait_ms=60_000.0)
    found = _asked_by_threads(reranking, asked)
    assert counted.rows == [BATCH_ROWS]
    alone = Reranking("language", Counted(), 0.5, 5).terms(asked, SHELF).values
    assert torch.equal(torch.cat(found), alone)
    assert reranking.refiner.served.read()["asked"] == BATCH_ROWS


@torch.no_grad()
def test_a_language_model_in_company_gives_what_it_gives_alone() -> None:
    asked, made = slate_samples.slates(BATCH_ROWS), ranker()
    together = Reranking("language", made, 1.0, 5, prefixes=4, batch_wait_ms=60_000.0)
    found = torch.cat(_asked_by_threads(together, asked))
    alone = Reranking("language", made, 1.0, 5).terms(asked, SHELF).values
    assert float((found - alone).abs().max()) < 1e-5
    assert float(alone.abs().max()) > 0


@pytest.mark.parametrize(("kind", "wait"), [("language", None), ("mlp", 60_000.0)])
def test_else_every_question_is_read_by_itself(kind: str, wait: float | None) -> None:
    counted = Counted()
    Reranking(kind, counted, 0.5, 5, batch_wait_ms=wait).terms(slate_samples.slates(3), SHELF)
    assert counted.rows == [1, 1, 1]


def test_being_asked_is_no_change_of_state() -> None:
    reranking = Reranking("language", Counted().__call__, 0.5, 5)
    before = state_hash(reranking)
    reranking.terms(slate_samples.slates(2), SHELF)
    assert reranking.served.read()["asked"] == 2
    assert state_hash(reranking) == before


class _Stages:
    """Stages below that rank the items in their order, and whose slates are made up. asked: whose were wanted."""

    shelf = SHELF

    def __init__(self) -> None:
        self.asked: list[Query] = []

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        items = np.tile(np.arange(k, dtype=np.int32), (len(queries), 1))
        return Rankings(items, -items.astype(np.float32))

    def slates(self, queries: Sequence[Query], found: Rankings) -> Slates:
        assert len(queries) == len(found)
        self.asked += queries
        return slate_samples.slates(len(queries))

    def learn(self, events: Events) -> None:
        raise AssertionError("ranking learns nothing")


def test_of_people_without_a_history_it_is_not_asked() -> None:
    stages, counted = _Stages(), Counted()
    width = slate_samples.slates(1).items.shape[1]
    reranking = Reranking("mlp", counted, 50.0, width)
    known, new = Query(UserHistory(np.asarray([1], np.int32))), Query(UserHistory())
    queries = [new, known, new, known, known]
    found = RerankSystem(lambda _: (stages, reranking), (stages, reranking)).rank(queries, width)
    assert stages.asked == [known] * 3
    assert counted.rows == [1, 1, 1]
    assert reranking.served.read()["asked"] == 3
    assert list(found.degraded) == [None] * 5
    plain = stages.rank(queries, width)
    for row in (0, 2):
        assert np.array_equal(found.items[row], plain.items[row])
        assert np.array_equal(found.scores[row], plain.scores[row])
    assert not np.array_equal(found.scores[1], plain.scores[1])


def test_beside_a_server_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch_wait_ms"):
        Config.of({"language": {"server": "http://127.0.0.1:8000", "batch_wait_ms": 2.0}})
