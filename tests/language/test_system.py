"""A fitted re-ranker in a service: questions of several threads are read together where that is asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from tests.language import slate_samples
from tests.language.reading import ranker
from torch import Tensor

from dynmm.config import Config
from dynmm.errors import ConfigError
from dynmm.language.slates import Shelf, Slates
from dynmm.language.system import BATCH_ROWS, Reranking
from dynmm.testing.state import state_hash

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


def test_beside_a_server_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch_wait_ms"):
        Config.of({"language": {"server": "http://127.0.0.1:8000", "batch_wait_ms": 2.0}})
