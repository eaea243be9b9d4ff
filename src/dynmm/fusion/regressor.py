"""From content to vectors that interactions gave: what is guessed of an item that nobody took.

I items, W widths of all modalities together, D joint width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dynmm.fusion.content import Content
from dynmm.fusion.ridge import Regression

#: Candidate penalties, relative to the mean diagonal of the covariance; the held-out error chooses.
_PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)

#: Share of the items on which the penalty is chosen.
_HELD_OUT = 0.1


@dataclass(frozen=True, eq=False)
class ContentRegressor:
    """Ridge regression of vectors on the standardised features, absent ones at their mean of zero.

    weight: (W, D). bias: (D,). explained: share of the variance of the vectors that it gives back on held-out items.
    """

    weight: Tensor
    bias: Tensor
    penalty: float
    explained: float

    def __call__(self, content: Content) -> Tensor:
        """(I, D) float32 guesses; the mean where an item has no content."""
        return torch.cat(content.vectors, 1) @ self.weight + self.bias

    def shares(self, content: Content) -> list[Tensor]:
        """(I, D) for each modality: what it adds to `bias` in the guesses."""
        parts = torch.split(self.weight, [one.shape[1] for one in content.vectors])
        return [one @ part for one, part in zip(content.vectors, parts, strict=True)]


def fit_regressor(content: Content, vectors: Tensor, draws: torch.Generator) -> ContentRegressor:
    """Fitted to the items that somebody took and that have content. vectors: (I, D). draws: chooses those held out."""
    known = content.present[:, 0] & content.present[:, 1:].any(1)
    rows = known.nonzero().flatten()
    if len(rows) < 2:
        width = sum(one.shape[1] for one in content.vectors)
        seen = vectors[content.present[:, 0]]
        mean = seen.mean(0) if len(seen) else vectors.new_zeros(vectors.shape[1])
        return ContentRegressor(vectors.new_zeros(width, vectors.shape[1]), mean, _PENALTIES[-1], 0.0)
    features, wanted = torch.cat(content.vectors, 1)[rows], vectors[rows]
    order = torch.randperm(len(rows), generator=draws).to(rows.device)
    held = order[: max(1, round(_HELD_OUT * len(rows)))]
    rest = order[len(held) :]
    tried = Regression(features[rest], wanted[rest])
    errors = [float((tried.at(penalty).guess(features[held]) - wanted[held]).square().sum()) for penalty in _PENALTIES]
    at = min(range(len(errors)), key=errors.__getitem__)
    spread = float((wanted[held] - wanted[rest].mean(0)).square().sum())
    final = Regression(features, wanted).at(_PENALTIES[at])
    explained = 1 - errors[at] / spread if spread > 0 else 0.0
    return ContentRegressor(final.weight, final.bias, _PENALTIES[at], explained)
