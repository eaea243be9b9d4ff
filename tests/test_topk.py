"""Top-k against a plain sort, with ties, exclusions and candidates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dynmm.randomness import generator
from dynmm.system import PADDING, Query
from dynmm.topk import inner_products, rank_by_vectors, rank_in_blocks
from dynmm.types import UserHistory


def _query(exclude: list[int], candidates: list[int] | None = None) -> Query:
    chosen = None if candidates is None else np.asarray(candidates, np.int32)
    return Query(UserHistory(), candidates=chosen, exclude=np.asarray(exclude, np.int32))


def _plain(scores: NDArray[np.float32], query: Query, k: int) -> list[int]:
    allowed = range(len(scores)) if query.candidates is None else sorted(set(query.candidates.tolist()))
    left = [i for i in allowed if i not in set(query.exclude.tolist()) and scores[i] > -np.inf]
    return sorted(left, key=lambda i: (-scores[i], i))[:k]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_equals_a_plain_sort(data: st.DataObject) -> None:
    n_items = data.draw(st.integers(1, 30))
    n_queries = data.draw(st.integers(1, 5))
    k = data.draw(st.integers(1, 35))
    values = st.sampled_from([0.0, 1.0, 2.0, -1.0, -np.inf, 0.5])
    scores = np.asarray(
        [data.draw(st.lists(values, min_size=n_items, max_size=n_items)) for _ in range(n_queries)], np.float32
    )
    ids = st.lists(st.integers(0, n_items - 1), max_size=6)
    queries = [_query(data.draw(ids), data.draw(st.none() | ids)) for _ in range(n_queries)]
    position = {id(query): row for row, query in enumerate(queries)}
    found = rank_in_blocks(
        lambda block: torch.tensor(scores[[position[id(query)] for query in block]]),
        queries,
        k,
        n_items,
        block_bytes=data.draw(st.sampled_from([1, 8 * n_items, 2**20])),
    )
    assert found.items.shape == (n_queries, k)
    for row, query in enumerate(queries):
        expected = _plain(scores[row], query, k)
        assert found.items[row].tolist() == expected + [PADDING] * (k - len(expected))
        assert found.scores[row, : len(expected)].tolist() == scores[row, expected].tolist()
        assert np.isneginf(found.scores[row, len(expected) :]).all()


def test_nan_scores_are_refused() -> None:
    with pytest.raises(FloatingPointError, match="NaN"):
        rank_in_blocks(lambda block: torch.full((len(block), 4), torch.nan), [_query([])], 2, 4)


def test_no_queries_give_an_empty_ranking() -> None:
    assert rank_in_blocks(lambda block: torch.zeros(len(block), 4), [], 3, 4).items.shape == (0, 3)


def test_vectors_rank_as_their_products_do_in_any_company() -> None:
    source = torch.Generator().manual_seed(0)
    users, items = torch.randn(70, 16, generator=source), torch.randn(300, 16, generator=source)
    queries = [_query([row, row + 1]) for row in range(70)]
    together = rank_by_vectors(users, items, queries, 7, block_bytes=4 * 300 * 9)
    for row, query in enumerate(queries):
        alone = rank_by_vectors(users[row : row + 1], items, [query], 7)
        assert together.items[row].tolist() == alone.items[0].tolist()
        assert together.scores[row].tolist() == alone.scores[0].tolist()
        assert together.items[row].tolist() == _plain((items @ users[row]).numpy(), query, 7)


@pytest.mark.parametrize("width", [16, 192, 384, 768, 1_280])
def test_products_are_the_same_to_the_bit_in_any_company(width: int) -> None:
    draws = generator(1, "products")
    users, items = (draws.standard_normal((n, width)).astype(np.float32) for n in (300, 310))
    alone = inner_products(users[:1], items)[0]
    assert alone == pytest.approx(items @ users[0], abs=1e-3)
    for company in (2, 7, 8, 9, 15, 16, 17, 33, 64, 127, 128, 129, 256, 300):
        assert np.array_equal(inner_products(users[:company], items)[0], alone), company
        assert np.array_equal(inner_products(users[:company][::-1], items)[-1], alone), company


def test_no_queries_rank_to_nothing() -> None:
    found = rank_by_vectors(torch.empty(0, 4), torch.ones(5, 4), [], 3)
    assert found.items.shape == found.scores.shape == (0, 3)
