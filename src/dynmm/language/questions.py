"""What trains a re-ranker: slates of the stages below the cut, and which candidate was the answer.

B questions, C candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dynmm.language.slates import NOBODY, Slates
from dynmm.randomness import derive_seed


@dataclass(frozen=True, eq=False)
class Questions:
    """Slates with answers.

    answers: (B,) int64, the place of the answer in its slate. people: (B,) int64, whose question it is. standing:
    (B, C) float32, for how many candidates each stands: 1, unless it was drawn from several. factor: what a loss
    multiplies the scores below by, see `tempered`.
    """

    slates: Slates
    answers: Tensor
    people: Tensor
    standing: Tensor
    factor: float = 1.0

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def targets(self) -> Tensor:
        """(B,) int64, the items that are the answers, where the slates are."""
        items = self.slates.items
        return items.gather(1, self.answers[:, None].to(items.device))[:, 0]

    def take(self, rows: Tensor | slice) -> Questions:
        """Some of them, in the order given."""
        rest = self.answers[rows], self.people[rows], self.standing[rows]
        return Questions(self.slates.take(rows), *rest, self.factor)

    @staticmethod
    def joined(parts: Sequence[Questions]) -> Questions:
        """Several of one shape and factor as one."""
        answers, people, standing = (
            torch.cat([getattr(one, name) for one in parts]) for name in ("answers", "people", "standing")
        )
        return Questions(Slates.joined([one.slates for one in parts]), answers, people, standing, parts[0].factor)

    def to(self, device: torch.device | str) -> Questions:
        """The same on a device."""
        answers, people, standing = (one.to(device) for one in (self.answers, self.people, self.standing))
        return Questions(self.slates.to(device), answers, people, standing, self.factor)


def questions_of(slates: Slates, targets: Tensor, people: Tensor) -> Questions:
    """The questions whose answer is among the candidates; the others have nothing to tell apart.

    targets, people: (B,) int64, the item that was taken and who took it.
    """
    found = slates.items == targets[:, None]
    rows = (found.any(1) & (targets != NOBODY)).nonzero()[:, 0]
    answers = found[rows].float().argmax(1)
    return Questions(slates.take(rows), answers, people[rows], slates.present[rows].float())


def apart(questions: Questions, share: float, seed: int) -> tuple[Questions, Questions]:
    """Questions that train, and those of other people that choose. share: of the people who choose, 0 to 1.

    All questions of one person stand on one side. The same people and seed give the same sides.
    """
    people = torch.unique(questions.people)
    draws = torch.Generator().manual_seed(derive_seed(seed, "rerank folds"))
    chosen = people[torch.randperm(len(people), generator=draws)[: round(share * len(people))]]
    held = torch.isin(questions.people, chosen)
    return questions.take((~held).nonzero()[:, 0]), questions.take(held.nonzero()[:, 0])


def some_of(questions: Questions, most: int, seed: int) -> Questions:
    """At most so many of them, in the order in which they stood."""
    if len(questions) <= most:
        return questions
    draws = torch.Generator().manual_seed(seed)
    return questions.take(torch.randperm(len(questions), generator=draws)[:most].sort().values)


def drawn(questions: Questions, size: int, draws: torch.Generator) -> Questions:
    """The same with at most ``size`` candidates each: the answer, the hardest, and some drawn from the rest.

    Half of those beside the answer are the best of the stages below; each of the others stands for as many as
    it was drawn from. Candidates keep their order, so the answer's place tells nothing more than it did. draws: a
    CPU generator.
    """
    slates, count = questions.slates, questions.slates.items.shape[1]
    if size >= count:
        return questions
    hard, answers = (size - 1) // 2, questions.answers[:, None].cpu()
    present = slates.present.cpu()
    # Smaller keys are kept: the answer, then the hard ones by place, then a draw, then what is no candidate.
    places = torch.arange(count).expand(len(questions), -1)
    first = (places - (places > answers).long()) < hard
    keys = torch.where(first, places / count - 1.0, torch.rand(places.shape, generator=draws))
    keys = keys.masked_fill(~present, 2.0).scatter(1, answers, -2.0)
    kept = keys.argsort(dim=1, stable=True)[:, :size].sort(dim=1).values
    rest = (present & ~first).sum(1, keepdim=True) - 1 + first.gather(1, answers).long()
    taken = (present & ~first).gather(1, kept) & (kept != answers)
    standing = torch.where(taken, rest / taken.sum(1, keepdim=True).clamp(min=1), 1.0)
    standing = standing * present.gather(1, kept)
    own = (kept == answers).float().argmax(1)
    device = slates.items.device
    return replace(
        questions,
        slates=slates.places(kept.to(device)),
        answers=own.to(device),
        standing=standing.float().to(device),
    )
