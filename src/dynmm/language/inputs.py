"""What is known of each candidate in numbers: the same facts for every re-ranker.

The controls also read how a candidate compares with the others of its slate (``relative``), more than twice as many
numbers; the language model does not, so that order cannot matter.

B questions, C candidates, F facts, F' features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dynmm.language.slates import NOBODY, Shelf, Slates

#: A standardised feature further out than this counts as this far out.
FAR = 5.0

#: A feature that varies by less is a constant, and tells nothing.
_LEAST_SPREAD = 1e-6

#: Added to the spread within a slate: candidates that hardly differ are alike.
_LEAST_APART = 1e-3

#: Questions that are read at once while means and spreads are taken.
_ROWS = 1024

_OWN = ("score", "latent", "evidence", "events of the item")
_PLAIN = ("length of the history",)
_RELATIVE = ("place", "score below the best", "latent below the best", "evidence below the best")


class CandidateFeatures(nn.Module):
    """Standardised features of candidates: scores of the stages below, counts, and the signed root of every fact.

    With ``relative`` a candidate is also compared with the others of its slate, in each of these, so what it gets
    depends on them; without, it depends on the user and the candidate alone.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, facts: int, *, relative: bool = True) -> None:
        """facts: F of the slates. relative: see the class."""
        super().__init__()
        self.facts, self.relative = facts, relative
        self.register_buffer("mean", torch.zeros(self.width))
        self.register_buffer("spread", torch.ones(self.width))

    @property
    def width(self) -> int:
        """F'."""
        own = len(_OWN) + self.facts
        return own + len(_PLAIN) + (len(_RELATIVE) + own if self.relative else 0)

    @torch.no_grad()
    def fit(self, slates: Slates, shelf: Shelf) -> None:
        """Take mean and spread over all candidates of these slates."""
        sums = torch.zeros(2, self.width, dtype=torch.float64, device=self.mean.device)
        count = 0
        for start in range(0, len(slates), _ROWS):
            some = slates.take(slice(start, start + _ROWS)).to(self.mean.device)
            known = self._raw(some, shelf)[some.present].double()
            sums[0] += known.sum(0)
            sums[1] += known.square().sum(0)
            count += len(known)
        mean = sums[0] / max(count, 1)
        spread = (sums[1] / max(count, 1) - mean.square()).clamp(min=0).sqrt()
        self.mean.copy_(mean)
        self.spread.copy_(torch.where(spread > _LEAST_SPREAD, spread, torch.ones_like(spread)))

    def forward(self, slates: Slates, shelf: Shelf) -> Tensor:
        """(B, C, F') float32 within [-5, 5], 0 at padding."""
        known = ((self._raw(slates, shelf) - self.mean) / self.spread).clamp(-FAR, FAR)
        return known.masked_fill(~slates.present[..., None], 0.0)

    def _raw(self, slates: Slates, shelf: Shelf) -> Tensor:
        present = slates.present
        score = slates.scores.masked_fill(~present, 0.0)
        evidence = score - slates.latent
        taken = shelf.taken.to(score.device)[slates.items.clamp(min=0)].log1p()
        length = (slates.history != NOBODY).sum(1).float().log1p()
        own = torch.cat([torch.stack([score, slates.latent, evidence, taken], dim=-1), _signed_root(slates.facts)], -1)
        known = [own, length[:, None, None].expand(-1, score.shape[1], 1)]
        if self.relative:
            place = torch.arange(score.shape[1], device=score.device).float().log1p().expand_as(score)
            below = [_below_best(one, present) for one in (score, slates.latent, evidence)]
            known += [torch.stack([place, *below], dim=-1), _among(own, present)]
        return torch.cat(known, dim=-1)


def _below_best(values: Tensor, present: Tensor) -> Tensor:
    best = values.masked_fill(~present, -torch.inf).amax(1, keepdim=True)
    return torch.where(present, values - best, torch.zeros_like(values))


def _among(values: Tensor, present: Tensor) -> Tensor:
    """(B, C, F) in spreads above the mean of the slate: what is much for one user is little for another."""
    there = present[..., None]
    count = there.sum(1, keepdim=True).clamp(min=1)
    apart = (values - values.masked_fill(~there, 0.0).sum(1, keepdim=True) / count).masked_fill(~there, 0.0)
    return apart / ((apart.square().sum(1, keepdim=True) / count).sqrt() + _LEAST_APART)


def _signed_root(values: Tensor) -> Tensor:
    """Square root of the size, with the sign: counts and ratios have long tails."""
    return values.sign() * values.abs().sqrt()
