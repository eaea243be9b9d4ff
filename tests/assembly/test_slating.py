"""What a re-ranker is shown: the stages as it was trained on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tests.adapter.made import ITEMS, Driver, adapter_of, events_of

from dynmm.assembly.slating import SlateMaker
from dynmm.protocols import VectorSpace
from dynmm.system import Query, Rankings
from dynmm.topk import rank_by_vectors
from dynmm.types import UserHistory


class _NoFacts:
    """An evidence score without a fact."""

    names = ()

    @property
    def reader(self) -> _NoFacts:
        return self

    def read(self, query: Query, own: np.ndarray, gone: Any) -> np.ndarray:
        return np.zeros((len(own), 0), np.float32)


def _maker(space: VectorSpace) -> SlateMaker:
    return SlateMaker(space, _NoFacts(), None, [""] * ITEMS, 4)  # type: ignore[arg-type]


def test_what_the_adapter_moves_is_not_shown_to_a_re_ranker() -> None:
    adapter = adapter_of()
    Driver(adapter).feed(events_of(400))
    moved = adapter.trial
    assert moved.weights is not None
    assert len(moved.hot)
    queries = [Query(UserHistory(np.array(items, np.int32))) for items in ([7, 1], [2], [0, 5, 9])]
    users = moved.user_vectors([query.history for query in queries])
    found = rank_by_vectors(users, moved.item_vectors, queries, 6)
    shown = _maker(moved).of(queries, found)
    still = moved.base.user_vectors([query.history for query in queries]) @ moved.base.item_vectors.t()
    expected = still.gather(1, shown.items)
    torch.testing.assert_close(shown.scores, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(shown.latent, expected, atol=1e-4, rtol=1e-4)
    assert (torch.from_numpy(found.scores) - expected).abs().max() > 0.01


def test_without_an_adapter_the_scores_are_those_of_the_ranking() -> None:
    space = adapter_of().trial.base
    query = Query(UserHistory(np.array([3, 1], np.int32)))
    found: Rankings = rank_by_vectors(space.user_vectors([query.history]), space.item_vectors, [query], 6)
    assert torch.equal(_maker(space).of([query], found).scores, torch.from_numpy(found.scores))
