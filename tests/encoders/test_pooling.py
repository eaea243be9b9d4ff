"""Several frames of an item become one row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm.encoders.pooling import pool


def _floats(rows: list[list[float]]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_better_frames_count_more() -> None:
    items = np.array([2, 0, 2])
    vectors = _floats([[4, 0], [1, 1], [0, 8]])
    words = _floats([[1, np.nan], [0.5, 0.5], [0, 0.75]])
    pooled = pool(items, vectors, np.array([0.75, 0.5, 0.25], np.float32), words, 4)
    assert pooled.vectors.tolist() == [[1, 1], [0, 0], [3, 2], [0, 0]]
    assert pooled.present.tolist() == [True, False, True, False]
    assert pooled.quality == pytest.approx([0.5, 0, 0.75 * 0.75 + 0.25 * 0.25, 0])
    assert pooled.attributes is not None
    # what one frame does not know, the other tells alone
    assert pooled.attributes[2].tolist() == [0.75, 0.75]
    assert np.isnan(pooled.attributes[[1, 3]]).all()


def test_frames_of_no_quality_count_alike() -> None:
    items = np.array([0, 0, 1])
    pooled = pool(items, _floats([[2], [4], [6]]), np.array([0, 0, 1], np.float32), None, 2)
    assert pooled.vectors.tolist() == [[3], [6]]
    assert pooled.quality.tolist() == [0, 1]
    assert pooled.attributes is None


def test_a_single_frame_stays_as_it_is_to_the_bit() -> None:
    vectors = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
    pooled = pool(np.arange(5)[::-1].copy(), vectors, np.full(5, 0.3, np.float32), None, 5)
    assert (pooled.vectors[::-1] == vectors).all()


def test_nothing_to_pool() -> None:
    pooled = pool(np.zeros(0, np.int64), np.zeros((0, 3), np.float32), np.zeros(0, np.float32), None, 2)
    assert pooled.vectors.shape == (2, 3)
    assert not pooled.present.any()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-5, 5), st.floats(0, 1)), max_size=12))
def test_a_pooled_value_lies_among_those_pooled(frames: list[tuple[int, float, float]]) -> None:
    items = np.array([item for item, _, _ in frames], dtype=np.int64)
    values = np.array([[value] for _, value, _ in frames], dtype=np.float32).reshape(-1, 1)
    quality = np.array([good for _, _, good in frames], dtype=np.float32)
    pooled = pool(items, values, quality, None, 4)
    for item in range(4):
        own = values[items == item]
        assert pooled.present[item] == bool(len(own))
        if len(own):
            assert own.min() - 1e-5 <= pooled.vectors[item, 0] <= own.max() + 1e-5
            assert quality[items == item].min() - 1e-6 <= pooled.quality[item] <= quality[items == item].max() + 1e-6
