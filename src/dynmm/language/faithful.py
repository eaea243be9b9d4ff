"""Whether facts lift the answer: the loss that asks for it, and the measure with a control.

L_faith = max(0, delta - (s(y|E) - stop_gradient(s(y|none)))), with s the log-probability of the answer among its
candidates. The paper's Eq. 12 has the sign the other way round, which punishes facts that help, and its ACC has no
gradient. B questions, C candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from dynmm.language.contracts import Reranker
from dynmm.language.listwise import answer_chances, answers_loss
from dynmm.language.piecewise import in_pieces
from dynmm.language.questions import Questions
from dynmm.language.slates import Shelf, Slates


class Faithful:
    """A training objective: the answer among its candidates with facts, and, weighed, without them and between."""

    def __init__(self, model: Reranker, shelf: Shelf, *, weight: float, margin: float) -> None:
        """weight: of L_faith, and of the branch without facts, which is trained too, so that the margin is not won by
        ruining it. margin: delta."""
        self._model, self._shelf, self._weight, self._margin = model, shelf, weight, margin

    def __call__(self, questions: Questions) -> Tensor:
        """Mean loss of a batch."""
        told = self._model(questions.slates, self._shelf)
        loss = answers_loss(told, questions)
        if self._weight == 0:
            return loss
        untold = self._model(blind(questions.slates), self._shelf)
        gain = answer_chances(told, questions) - answer_chances(untold, questions).detach()
        return loss + self._weight * (functional.relu(self._margin - gain).mean() + answers_loss(untold, questions))


@dataclass(frozen=True)
class Faithfulness:
    """How much facts lift the answer's log-probability over none, in the mean of held-back questions.

    own: with the candidates' facts. others: with those of another question's candidates, the control; None where there
    is no other question. lifted: share of questions whose own facts reach the margin.
    """

    own: float
    others: float | None
    lifted: float
    margin: float
    questions: int


@torch.no_grad()
def faithfulness(model: Reranker, questions: Questions, shelf: Shelf, margin: float, batch: int) -> Faithfulness:
    """The measure on questions that trained nothing. batch: questions read at once. Raises as `in_pieces` does."""
    if not len(questions):
        return Faithfulness(0.0, None, 0.0, margin, 0)
    turned = swapped(questions.slates)

    def gains(rows: slice) -> Tensor:
        some = questions.take(rows)
        none = answer_chances(model(blind(some.slates), shelf), some)
        asked = (some.slates, turned.take(rows))
        return torch.stack([answer_chances(model(one, shelf), some) - none for one in asked])

    told, others = torch.cat(in_pieces(gains, len(questions), batch), dim=1)
    control = float(others.mean()) if len(told) > 1 else None
    lifted = float((told >= margin).float().mean())
    return Faithfulness(float(told.mean()), control, lifted, margin, len(told))


def pooled(parts: Sequence[Faithfulness]) -> Faithfulness:
    """Of several lots of questions as one; the control over the lots that have one. Each has a question at least."""

    def mean(values: Sequence[tuple[float, int]]) -> float:
        return sum(value * count for value, count in values) / sum(count for _, count in values)

    controls = [(one.others, one.questions) for one in parts if one.others is not None]
    return Faithfulness(
        own=mean([(one.own, one.questions) for one in parts]),
        others=mean(controls) if controls else None,
        lifted=mean([(one.lifted, one.questions) for one in parts]),
        margin=parts[0].margin,
        questions=sum(one.questions for one in parts),
    )


def blind(slates: Slates) -> Slates:
    """The same without facts: the score is the latent alone."""
    scores = torch.where(slates.present, slates.latent, slates.scores)
    return replace(slates, scores=scores, facts=torch.zeros_like(slates.facts))


def swapped(slates: Slates) -> Slates:
    """Each question with the facts, and what they add to the score, of the one before it."""
    present = slates.present
    added = torch.where(present, slates.scores - slates.latent, torch.zeros_like(slates.latent)).roll(1, 0)
    scores = torch.where(present, slates.latent + added, slates.scores)
    return replace(slates, scores=scores, facts=slates.facts.roll(1, 0).masked_fill(~present[..., None], 0.0))
