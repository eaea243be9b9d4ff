"""Questions that memory does not hold all at once."""

from __future__ import annotations

import pytest
import torch
from tests.language import slate_samples as samples
from torch import Tensor

from dynmm.errors import ModelError
from dynmm.language.faithful import faithfulness
from dynmm.language.learning import raw_scores
from dynmm.language.questions import Questions, questions_of
from dynmm.language.slates import Shelf, Slates
from dynmm.memory import OutOfMemory

ITEMS = samples.shelf()


class _Narrow:
    """A re-ranker that holds so many questions at most."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.asked: list[int] = []

    def __call__(self, slates: Slates, shelf: Shelf) -> Tensor:
        self.asked.append(len(slates))
        if len(slates) > self.most:
            raise OutOfMemory("no memory left")
        return slates.facts[..., 0] + 2 * slates.facts[..., 1]


def _questions(count: int) -> Questions:
    asked = samples.slates(count)
    return questions_of(asked, asked.items[:, 1], torch.arange(count))


def test_what_memory_does_not_hold_is_scored_in_smaller_batches() -> None:
    asked, narrow = samples.slates(11), _Narrow(2)
    found = raw_scores(narrow, asked, ITEMS, 8)
    assert narrow.asked == [8, 4, 2, 2, 2, 2, 2, 1]
    assert torch.equal(found, raw_scores(_Narrow(11), asked, ITEMS, 64))


def test_what_facts_are_worth_is_measured_in_smaller_batches() -> None:
    questions = _questions(11)
    found = faithfulness(_Narrow(3), questions, ITEMS, 0.05, 64)
    whole = faithfulness(_Narrow(11), questions, ITEMS, 0.05, 64)
    assert found == whole
    assert found.questions == 11


def test_memory_that_does_not_hold_one_question_is_an_error_with_a_way_out() -> None:
    narrow = _Narrow(0)
    with pytest.raises(ModelError, match=r"even one question: no memory left; lower reranking\.candidates"):
        raw_scores(narrow, samples.slates(5), ITEMS, 4)
    assert narrow.asked == [4, 2, 1]


def test_an_error_that_is_not_about_memory_is_not_asked_again() -> None:
    asked: list[int] = []

    def refused(slates: Slates, shelf: Shelf) -> Tensor:
        asked.append(len(slates))
        raise ModelError("the prompt is too long")

    with pytest.raises(ModelError, match=r"^the prompt is too long$"):
        raw_scores(refused, samples.slates(5), ITEMS, 4)
    assert asked == [4]
