"""Groups of people that members of a re-ranker leave out, so that all questions train and nearly all choose.

B questions, C candidates, M members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dynmm.language.mlp import Perceptron
from dynmm.language.questions import Questions
from dynmm.randomness import derive_seed


@dataclass(frozen=True, eq=False)
class Judged:
    """A re-ranker, or some of its members, and questions that taught it nothing."""

    model: nn.Module
    questions: Questions


@dataclass(frozen=True, eq=False)
class Folds:
    """Member m learns nothing from group m mod count. people: (N,) int64, ascending. groups: (N,) int64 of each."""

    people: Tensor
    groups: Tensor
    count: int

    @classmethod
    def of(cls, questions: Questions, share: float, seed: int) -> Folds:
        """As many groups as hold ``share`` of the people each. The same people and seed give the same groups."""
        people = torch.unique(questions.people.cpu())
        count = max(2, round(1 / share))
        draws = torch.Generator().manual_seed(derive_seed(seed, "rerank groups"))
        groups = torch.empty_like(people)
        groups[torch.randperm(len(people), generator=draws)] = torch.arange(len(people)) % count
        return cls(people, groups, count)

    def of_each(self, questions: Questions) -> Tensor:
        """(B,) the group of whose question it is, where the questions are."""
        found = self.groups[torch.searchsorted(self.people, questions.people.cpu())]
        return found.to(questions.people.device)

    def taught(self, questions: Questions, members: int) -> Tensor:
        """(M, B) bool: who learns from which question."""
        left_out = torch.arange(members, device=questions.people.device) % self.count
        return self.of_each(questions) != left_out[:, None]

    def judged(self, model: Perceptron, questions: Questions) -> list[Judged]:
        """Each group that some members have left out, with these members."""
        groups, found = self.of_each(questions), []
        for group in range(min(self.count, len(model.members))):
            rows = (groups == group).nonzero()[:, 0]
            if len(rows):
                own = range(group, len(model.members), self.count)
                found.append(Judged(model.only(own), questions.take(rows)))
        return found


def asked_of(judged: Sequence[Judged]) -> Questions:
    """All of their questions, in their order."""
    return Questions.joined([one.questions for one in judged])
