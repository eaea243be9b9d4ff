"""How far each sense can be trusted of an item that nobody took: what it says of items it was not fitted to.

I items, M content modalities, W width of one, D joint width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dynmm.fusion.content import Content

#: Ridge penalties, relative to the mean diagonal of the covariance. The best of each modality counts.
_PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)

#: Parts of the items; each is guessed from the others.
_FOLDS = 5

#: Fewer items than this say nothing, more than that little that is new.
_LEAST_ITEMS, _MOST_ITEMS = 100, 5_000

#: What explains nothing is trusted this much less than what explains most.
_LEAST = 0.01


def explained_by(content: Content, collaborative: Tensor, draws: torch.Generator) -> list[float | None]:
    """Of each modality, the share of the variance of known items' collaborative vectors that a ridge regression on its
    features alone gives back on items that it was not fitted to; below 0 where it says less than the mean, None where
    too few items have it.

    The network's own parts cannot be asked: among the items that it was trained on, the features that single an item
    out best look best, whether or not they say anything of the next one (experiment log, E22).

    collaborative: (I, D) as the joint stage trained them; in the latents content would explain itself. draws: chooses
    the folds.
    """
    found: list[float | None] = []
    for m, vectors in enumerate(content.vectors, start=1):
        rows = (content.present[:, 0] & content.present[:, m]).nonzero().flatten()
        rows = rows[torch.randperm(len(rows), generator=draws)[:_MOST_ITEMS].to(rows.device)]
        found.append(None if len(rows) < _LEAST_ITEMS else _explained(vectors[rows], collaborative[rows]))
    return found


def trust_of(explained: list[float | None]) -> Tensor:
    """(M,) what is added to the gate's scores of an item without a collaborative vector: the log of what each modality
    explains, less that of the best. Zeros where not all are known, or none explains anything."""
    known = [one for one in explained if one is not None]
    if len(known) < len(explained) or max(known, default=0.0) <= 0:
        return torch.zeros(len(explained))
    shares = torch.tensor(known)
    return (shares / shares.max()).clamp(min=_LEAST).log()


def _explained(x: Tensor, y: Tensor) -> float:
    """x: (R, W). y: (R, D). In shuffled order."""
    x, y = x.float(), y.float()
    lost, spread = torch.zeros(len(_PENALTIES), dtype=torch.float64), 0.0
    for fold in range(_FOLDS):
        held = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        held[fold::_FOLDS] = True
        mean, aim = x[~held].mean(0), y[~held].mean(0)
        seen, wanted = x[~held] - mean, y[~held] - aim
        asked, truth = x[held] - mean, y[held] - aim
        spread += float(truth.square().sum())
        covariance, aims = seen.t() @ seen, seen.t() @ wanted
        scale = covariance.diagonal().mean().clamp(min=1e-12)
        for at, penalty in enumerate(_PENALTIES):
            damped = covariance.clone()
            damped.diagonal().add_(penalty * scale)
            factor = torch.linalg.cholesky(damped)
            lost[at] += float((asked @ torch.cholesky_solve(aims, factor) - truth).square().sum())
    return 1 - float(lost.min()) / spread if spread > 0 else 0.0
