"""BLEU, ROUGE and likeness, against values worked out by hand."""

from __future__ import annotations

import json
import math
import sys

import numpy as np
import pytest

from dynmm.errors import EmptyDataError, MissingExtraError
from dynmm.evaluation.scores import Resampling
from dynmm.evaluation.wording_scores import wording_scores

HOW = Resampling(100)


@pytest.fixture
def _libraries() -> None:
    pytest.importorskip("sacrebleu", reason="needs the extra text-metrics")
    pytest.importorskip("rouge_score", reason="needs the extra text-metrics")


@pytest.mark.usefixtures("_libraries")
def test_the_same_text_has_full_marks() -> None:
    texts = ["people who watched Heat watched this next", "both are space survival dramas"]
    told = wording_scores(texts, texts, how=HOW)
    assert told["bleu-1"]["score"] == pytest.approx(100)
    assert told["bleu-4"]["score"] == pytest.approx(100)
    assert [told[name]["mean"] for name in ("rouge-1", "rouge-2", "rouge-l")] == pytest.approx([1, 1, 1])
    assert "similarity" not in told


@pytest.mark.usefixtures("_libraries")
def test_values_by_hand() -> None:
    told = wording_scores(["the cat sat on a mat"], ["the cat lay on a mat"], how=HOW)
    # 5 of 6 words; 3 of 5 pairs of words; the longest common row of words has 5 of 6.
    assert told["bleu-1"]["score"] == pytest.approx(100 * 5 / 6)
    assert told["rouge-1"]["mean"] == pytest.approx(5 / 6)
    assert told["rouge-2"]["mean"] == pytest.approx(3 / 5)
    assert told["rouge-l"]["mean"] == pytest.approx(5 / 6)
    # Three words in a row: 1 of 4. Four: none of 3, which sacrebleu's exponential smoothing counts as a half.
    by_hand = (5 / 6 * 3 / 5 * 1 / 4 * 0.5 / 3) ** (1 / 4)
    assert told["bleu-4"]["score"] == pytest.approx(100 * by_hand)
    assert "smooth:exp" in told["bleu-4"]["signature"]


@pytest.mark.usefixtures("_libraries")
def test_bleu_is_of_the_corpus_with_its_brevity_penalty() -> None:
    told = wording_scores(["a b c d", "e f"], ["a b c d", "e f g h"], how=HOW)
    assert told["bleu-1"]["score"] == pytest.approx(100 * math.exp(1 - 8 / 6))


@pytest.mark.usefixtures("_libraries")
def test_likeness_is_the_cosine_under_the_encoder_that_is_passed_in() -> None:
    vectors = {"a": [2.0, 0.0], "b": [1.0, 1.0], "c": [0.0, 0.0]}
    told = wording_scores(
        ["a", "a", "c"], ["a", "b", "a"], embed=lambda texts: np.array([vectors[text] for text in texts]), how=HOW
    )
    assert told["similarity"]["mean"] == pytest.approx((1 + math.sqrt(0.5) + 0) / 3)


@pytest.mark.usefixtures("_libraries")
def test_intervals_are_over_users_and_the_whole_is_json() -> None:
    texts, references = ["a b", "a b", "x y"], ["a b", "a b", "a b"]
    alone = wording_scores(texts, references, how=HOW)
    together = wording_scores(texts, references, users=np.array([7, 7, 9]), how=HOW)
    assert (alone["users"], together["users"]) == (3, 2)
    assert alone["rouge-1"]["mean"] == together["rouge-1"]["mean"] == pytest.approx(2 / 3)
    assert together["rouge-1"]["ci95"] == [0, 1], "of two users, one may be drawn twice"
    assert json.loads(json.dumps(together)) == together


@pytest.mark.usefixtures("_libraries")
def test_texts_without_a_word_score_nothing() -> None:
    told = wording_scores(["", "!?"], ["a b", "c d"], how=HOW)
    assert told["rouge-1"]["mean"] == 0
    assert told["bleu-4"]["score"] == 0


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="2 texts but 1 references"):
        wording_scores(["a", "b"], ["a"])
    with pytest.raises(EmptyDataError):
        wording_scores([], [])


@pytest.mark.parametrize("library", ["sacrebleu.metrics", "rouge_score.rouge_scorer"])
def test_the_missing_extra_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=r"dynmm\[text-metrics\]"):
        wording_scores(["a"], ["a"])
