"""The listwise loss of re-rankers: the answer's probability among its candidates.

B questions, C candidates.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor

from dynmm.language.contracts import Reranker
from dynmm.language.questions import Questions
from dynmm.language.slates import Shelf, Slates
from dynmm.training.scales import FACTORS

if TYPE_CHECKING:
    from dynmm.language.folds import Folds


@runtime_checkable
class Several(Protocol):
    """A re-ranker whose score is the mean of members, M of them."""

    def each(self, slates: Slates, shelf: Shelf) -> Tensor:
        """(M, B, C) float32 raw scores."""
        ...


class Listwise:
    """A training objective: the answer among its candidates, for each member by itself where there are several.

    Members that are trained together correct one another and end as one wide net; by themselves they err apart.
    """

    def __init__(self, model: Reranker, shelf: Shelf, folds: Folds | None = None) -> None:
        """folds: whose questions which member does not learn from; None where all learn from all."""
        self._model, self._shelf, self._folds = model, shelf, folds

    def __call__(self, questions: Questions) -> Tensor:
        """Mean loss of a batch."""
        if not isinstance(self._model, Several):
            return answers_loss(self._model(questions.slates, self._shelf), questions)
        members = self._model.each(questions.slates, self._shelf)
        if self._folds is None:
            return torch.stack([answers_loss(one, questions) for one in members]).mean()
        taught = self._folds.taught(questions, len(members)).to(members.device)
        chances = torch.stack([answer_chances(one, questions) for one in members])
        # Over as many questions as taught it, whether the batch has many or few of those.
        return -(chances * taught).sum(1).div(taught.sum(1).clamp(min=1)).mean()


def answers_loss(raw: Tensor, questions: Questions) -> Tensor:
    """Mean cross-entropy of the answers, a scalar. raw: (B, C)."""
    return -answer_chances(raw, questions).mean()


def answer_chances(raw: Tensor, questions: Questions) -> Tensor:
    """(B,) log-probability of each answer under a softmax over the scores below, times the factor, plus the raw ones.

    The scores below are held fixed, so that the re-ranker learns what they leave open. A candidate that stands for
    n counts n times: the estimate of the sum over all that it was drawn from.
    """
    slates = questions.slates
    known = questions.factor * slates.scores + raw.float() + questions.standing.clamp(min=1).log()
    chances = torch.log_softmax(known.masked_fill(~slates.present, -torch.inf), dim=1)
    return chances.gather(1, questions.answers[:, None])[:, 0]


@torch.no_grad()
def tempered(questions: Questions) -> Questions:
    """The same with the factor under which the scores below alone tell the answers best.

    A raw score r that was learned under factor f is worth r / f beside the scores below.
    """
    nothing = torch.zeros_like(questions.slates.scores)
    tried = [replace(questions, factor=factor) for factor in FACTORS]
    return min(tried, key=lambda one: float(answers_loss(nothing, one)))
