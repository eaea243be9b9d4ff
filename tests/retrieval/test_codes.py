"""Codes: their size, what they keep, and that learning them leaves the process as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.retrieval.clouds import clustered, tastes

from dynmm.retrieval.codes import CodeScan, codebook_shape, faiss_module, learn_codebook


@given(width=st.integers(1, 1024), bytes_per_item=st.integers(1, 256))
def test_a_code_is_no_longer_than_allowed_and_covers_the_latent(width: int, bytes_per_item: int) -> None:
    pieces, centroids, size = codebook_shape(width, bytes_per_item)
    assert centroids == 16
    assert pieces % 2 == 0
    assert pieces // 2 <= bytes_per_item
    assert width <= pieces * size < width + 2 * size, "at most one piece is padding alone, to fill the last byte"


def test_the_usual_width_is_coded_by_pairs() -> None:
    assert codebook_shape(256, 64) == (128, 16, 2)


@given(width=st.integers(1, 40), n=st.integers(1, 80), seed=st.integers(0, 9))
@settings(max_examples=25)
def test_every_item_can_be_reached(width: int, n: int, seed: int) -> None:
    items = clustered(n, width, seed)
    codebook = learn_codebook(items, 3, seed)
    found = CodeScan(codebook, codebook.encode(items)).nearest(items[0], n + 5)
    assert sorted(found.tolist()) == list(range(n))


@pytest.mark.parametrize("bytes_per_item", [4, 8, 16])
def test_the_order_by_codes_is_that_of_the_decoded_items(bytes_per_item: int) -> None:
    items = clustered(500, 32)
    codebook = learn_codebook(items, bytes_per_item, 0)
    codes = codebook.encode(items)
    low_first = np.stack([codes & 15, codes >> 4], axis=2).reshape(len(codes), -1)
    decoded = codebook.centroids[np.arange(codebook.pieces), low_first].reshape(len(codes), -1)
    scan = CodeScan(codebook, codes)
    for user in tastes(items, 5):
        scores = decoded @ user
        found = scan.nearest(user, 50)
        # The scan sums in small integers: near neighbours of the order may change places.
        assert scores[found].min() >= np.sort(scores)[-50] - 0.02 * np.ptp(scores)


def test_more_bytes_keep_more() -> None:
    items = clustered(800, 32)
    errors = []
    for bytes_per_item in (2, 4, 8, 16):
        codebook = learn_codebook(items, bytes_per_item, 0)
        codes = codebook.encode(items)
        each = np.stack([codes & 15, codes >> 4], axis=2).reshape(len(codes), -1)
        decoded = codebook.centroids[np.arange(codebook.pieces), each].reshape(len(codes), -1)
        errors.append(float(((decoded - items) ** 2).sum(axis=1).mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.1 < errors[0]


def test_the_number_of_threads_is_as_before() -> None:
    faiss = faiss_module()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(2)
    try:
        learn_codebook(clustered(50, 8), 4, 0)
        assert faiss.omp_get_max_threads() == 2
    finally:
        faiss.omp_set_num_threads(before)


def test_few_items_are_learned_from_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    learn_codebook(clustered(20, 8), 4, 0)
    assert capfd.readouterr() == ("", "")
