"""Items like an item: the parts sum to the score, and the reason is one that holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dynmm.catalogue.features import Attributes
from dynmm.randomness import generator
from dynmm.retrieval.exact import ExactIndex
from dynmm.retrieval.similar import Makings, shared_attributes, similar

NAMES = ("cf", "text", "image", "audio")


def made(n: int, seed: int) -> Makings:
    """n items of random parts, some of which are absent; the last item has none at all."""
    random = generator(seed, "makings")
    present = random.random((n, len(NAMES))) < 0.7
    present[-1] = False
    raw = np.where(present, random.random(present.shape), 0)
    weights = (raw / np.maximum(raw.sum(axis=1, keepdims=True), 1e-9)).astype(np.float32)
    parts = [random.standard_normal((n, 8)).astype(np.float32) for _ in NAMES]
    return Makings(NAMES, parts, weights, present)


def latents(makings: Makings) -> NDArray[np.float32]:
    z = makings.of(np.arange(len(makings.weights))).sum(axis=1)
    lengths = np.linalg.norm(z, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(z, lengths, out=np.zeros_like(z), where=lengths > 0).astype(np.float32)
    return unit


@given(seed=st.integers(0, 10_000), n=st.integers(2, 40), k=st.integers(1, 12))
def test_parts_sum_to_the_cosine_and_the_best_come_first(seed: int, n: int, k: int) -> None:
    makings = made(n, seed)
    z = latents(makings).astype(np.float64)
    found = similar(0, k, ExactIndex(latents(makings)), makings)
    known = np.flatnonzero(np.linalg.norm(z, axis=1) > 0)
    if 0 not in known:
        assert found == []
        return
    cosines = z @ z[0]
    expected = sorted((item for item in known if item != 0), key=lambda item: -cosines[item])[:k]
    assert [one.item for one in found] == expected
    for one in found:
        assert one.score == pytest.approx(cosines[one.item], abs=1e-6)
        assert sum(one.parts.values()) == pytest.approx(one.score, abs=1e-12)
        absent = [name for name, there in zip(NAMES, makings.present[one.item], strict=True) if not there]
        assert all(one.parts[name] == 0 for name in absent)


@given(seed=st.integers(0, 10_000))
def test_the_reason_is_the_largest_part_that_both_have(seed: int) -> None:
    makings = made(12, seed)
    words = ("people take them together", "is described alike", "looks alike", "sounds alike")
    for one in similar(3, 11, ExactIndex(latents(makings)), makings):
        both = makings.present[3] & makings.present[one.item]
        chosen = {word: part for word, part, has in zip(words, one.parts.values(), both, strict=True) if has}
        best = max(chosen, key=lambda word: chosen[word], default=None)
        enough = best is not None and chosen[best] > 0 and chosen[best] >= max(one.parts.values()) / 2
        assert one.reason == (best if enough else None)


def test_a_guessed_part_counts_and_is_never_the_reason() -> None:
    part = np.asarray([[1.0, 0.0], [1.0, 0.1]], np.float32)
    other = np.asarray([[0.8, 0.0], [0.8, 0.0]], np.float32)
    weights = np.asarray([[0.5, 0.5], [0.5, 0.5]], np.float32)
    makings = Makings(("cf", "image"), [part, other], weights, np.asarray([[True, True], [False, True]]))
    (found,) = similar(0, 3, ExactIndex(latents(makings)), makings)
    assert found.parts["cf"] > found.parts["image"] > 0.5 * found.parts["cf"]
    assert found.reason == "looks alike"


def test_what_carries_next_to_nothing_is_no_reason() -> None:
    """Two items that hardly share anything in what people do, and one of which has a text that says it all."""
    part = np.asarray([[1.0, 0.0], [0.05, 0.1]], np.float32)
    other = np.asarray([[0.0, 0.0], [1.0, 0.0]], np.float32)
    weights = np.asarray([[1.0, 0.0], [0.5, 0.5]], np.float32)
    makings = Makings(("cf", "text"), [part, other], weights, np.asarray([[True, False], [True, True]]))
    (found,) = similar(0, 3, ExactIndex(latents(makings)), makings)
    assert 0 < found.parts["cf"] < 0.1 < found.parts["text"]
    assert found.reason is None


def test_the_order_is_that_of_the_cosine_where_the_index_has_other_lengths() -> None:
    part = np.asarray([[1.0, 0.0], [3.0, 3.0], [0.5, 0.0], [0.4, 0.1]], np.float32)
    makings = Makings(("text",), [part], np.ones((4, 1), np.float32), np.ones((4, 1), np.bool_))
    found = similar(0, 3, ExactIndex(part), makings)
    assert [one.item for one in found] == [2, 3, 1]
    assert found[0].score == pytest.approx(1.0)
    assert found[0].reason == "is described alike"


def test_shared_attributes_hold_for_both_strongest_first() -> None:
    looks = Attributes(
        ("dark", "red", "busy", "sharp"), np.asarray([[0.9, 0.6, 0.5, 0.7], [0.8, 1.0, 0.9, np.nan]], "f4")
    )
    sounds = Attributes(("fast", "dark"), np.asarray([[0.51, 0.95], [0.7, 0.99]], "f4"))
    assert shared_attributes(0, 1, [looks, sounds]) == ("dark", "red", "fast")
    assert shared_attributes(0, 1, [looks]) == ("dark", "red")
    assert shared_attributes(0, 1, []) == ()
