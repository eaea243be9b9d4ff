"""How much a re-ranker counts: score = latent + evidence + gamma * rerank. B questions, C candidates."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dynmm.language.questions import Questions
from dynmm.language.slates import NOBODY, Slates

logger = logging.getLogger(__name__)

#: Ranks that count in choosing.
_DEPTH = 10

#: Standard errors of a difference that a gain must exceed for a weight. With few questions the best of several would
#: often be the luckiest.
_SURE = 1.0


@dataclass(frozen=True, eq=False)
class Term:
    """What a re-ranker adds to the scores of its candidates.

    values: (B, C) float32, 0 at the candidate that it puts last and at padding, never negative, never NaN. failed:
    (B,) bool, questions whose raw scores were no numbers; they get zeros, so the order below them stands, and so do
    questions of people without a history.
    """

    values: Tensor
    failed: Tensor


@dataclass(frozen=True)
class Gain:
    """What questions gain in NDCG@10 over the stages below. mean: of one question. error: standard error of the mean.

    An error of 0 says that the sample cannot tell it: fewer than two questions, or all gain the same.
    """

    mean: float
    error: float

    @classmethod
    def of(cls, differences: NDArray[np.float64]) -> Gain:
        """Of (N,) questions."""
        count = len(differences)
        error = float(differences.std(ddof=1)) / count**0.5 if count > 1 else 0.0
        return cls(float(differences.mean()) if count else 0.0, error)

    @property
    def errors(self) -> float:
        """Standard errors above nothing, 0 where the error cannot be told."""
        return self.mean / self.error if self.error else 0.0

    def with_other(self, other: Gain) -> Gain:
        """Of both samples, each weighted by its precision, 1 / error²; without one that cannot tell its error."""
        if not self.error or not other.error:
            return self if self.error else other
        own, others = self.error**-2, other.error**-2
        return Gain((own * self.mean + others * other.mean) / (own + others), (own + others) ** -0.5)


@dataclass(frozen=True)
class Gamma:
    """A chosen weight. ndcg: NDCG@10 among held-back questions under each of `tried`. gain: there, under the chosen."""

    value: float
    tried: tuple[float, ...]
    ndcg: tuple[float, ...]
    gain: Gain


def term(raw: Tensor, slates: Slates, gamma: float) -> Term:
    """gamma * (raw - the least raw of the slate): what was not looked at is never lifted above what was.

    Nothing for people without a history: a re-ranker reads and learns from people who have one. Asked about others it
    loses what the stages below know of them (E41 in the experiment log).
    raw: (B, C) of a re-ranker, whatever stands at padding. gamma: not negative.
    """
    present = slates.present
    failed = ~(torch.isfinite(raw) | ~present).all(1)
    known = (slates.history != NOBODY).any(1)
    usable = present & (known & ~failed)[:, None]
    least = raw.masked_fill(~usable, torch.inf).amin(1, keepdim=True)
    values = torch.where(usable, gamma * (raw.float() - least), torch.zeros_like(raw, dtype=torch.float32))
    if count := int(failed.sum()):
        logger.warning("the re-ranker gave no number for %d of %d questions; they keep their order", count, len(raw))
    return Term(values, failed)


def choose_gamma(raw: Tensor, questions: Questions, gammas: Sequence[float]) -> Gamma:
    """The weight with the best NDCG@10 on questions that trained nothing, the smallest of equals.

    raw: (B, C) of the re-ranker. 0 among the weights means that it may be left out, and so it is where no gain over
    that is likely: with few questions the best of several weights is often the luckiest.
    """
    tried = tuple(sorted(gammas))
    slates, answers = questions.slates, questions.answers
    scored = {gamma: slates.scores + term(raw, slates, gamma).values for gamma in tried}
    found = tuple(ndcg(scored[gamma], answers) for gamma in tried)
    best = tried[found.index(max(found))]
    gain = Gain.of((gained(scored[best], answers) - gained(slates.scores, answers)).numpy())
    # One question alone that gains is exactly one standard error, but for rounding.
    if 0.0 in scored and gain.errors <= _SURE * (1 + 1e-9):
        best, gain = 0.0, Gain(0.0, 0.0)
    return Gamma(best, tried, found, gain)


def ndcg(scores: Tensor, answers: Tensor) -> float:
    """Mean NDCG@10 of one answer each, see `gained`."""
    return float(gained(scores, answers).mean()) if len(answers) else 0.0


def gained(scores: Tensor, answers: Tensor) -> Tensor:
    """(B,) NDCG@10 of one answer each, equal scores counted against it. scores: (B, C). answers: (B,) places."""
    own = scores.gather(1, answers[:, None])
    ahead = (scores >= own).sum(1) - 1
    return torch.where(ahead < _DEPTH, 1 / torch.log2(ahead.double() + 2), 0.0)
