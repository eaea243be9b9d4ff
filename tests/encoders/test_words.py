"""Hashed words: what two texts share decides how near they are."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm.encoders.words import HashedWords
from dynmm.errors import ConfigError


def test_shared_words_bring_texts_together_and_shared_pairs_nearer() -> None:
    vectors = (
        HashedWords(4096)
        .encode(["red silk scarf", "scarf silk red", "RED  silk scarf!", "green wool hat", "red wool scarf"])
        .vectors
    )
    near = vectors[0] @ vectors.T
    assert near[2] == pytest.approx(1, abs=1e-6)  # case and signs do not count
    assert near[1] == pytest.approx(3 / 5, abs=1e-6)  # three words of five terms, and no pair
    assert near[4] == pytest.approx(2 / 5, abs=1e-6)
    assert near[3] == pytest.approx(0, abs=1e-6)


def test_a_word_said_often_counts_less_each_time() -> None:
    encoder = HashedWords(64)
    one, many = encoder.encode(["a", "a a a a"]).vectors
    # 1 + ln 4 for the word and 1 + ln 3 for the pair with itself
    weights = np.sort(np.abs(many[many != 0]))
    expected = np.sort(np.array([1 + np.log(4), 1 + np.log(3)]))
    assert np.count_nonzero(one) == 1
    assert weights == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)


def test_texts_without_words_go_by_their_signs() -> None:
    smile, rocket = HashedWords().encode(["\U0001f600", "\U0001f680"]).vectors
    assert np.linalg.norm(smile) == pytest.approx(1)
    assert smile @ rocket == pytest.approx(0)


def test_texts_of_scripts_without_spaces_share_their_signs() -> None:
    chair, stool, price = HashedWords().encode(["厨房用的木椅子", "厨房用的木凳子", "价格便宜"]).vectors
    assert chair @ stool > 0.5
    assert abs(chair @ price) < 0.3


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=60))
def test_any_text_has_a_vector_of_length_one_or_none(text: str) -> None:
    vector = HashedWords(128).encode([text]).vectors[0]
    assert vector.dtype == np.float32
    assert float(np.linalg.norm(vector)) == pytest.approx(1 if text.strip() else 0, abs=1e-5) or not vector.any()


def test_the_places_are_the_same_in_every_process() -> None:
    code = (
        "from dynmm.encoders.words import HashedWords; print(HashedWords(32).encode(['a red b']).vectors[0].tolist())"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert answers == {f"{HashedWords(32).encode(['a red b']).vectors[0].tolist()}\n"}


def test_the_width_enters_the_identity_and_has_a_bound() -> None:
    assert HashedWords(64).identity != HashedWords(128).identity
    with pytest.raises(ConfigError, match="at least 2 places, not 1"):
        HashedWords(1)
