"""How far each sense can be trusted of an item that nobody took: what it says of items it was not fitted to.

I items, M content modalities, W width of one, D joint width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dynmm.fusion.content import Content
from dynmm.fusion.ridge import Regression

#: Ridge penalties, relative to the mean diagonal of the covariance. The best of each modality counts.
_PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)

#: Parts of the items; each is guessed from the others.
_FOLDS = 5

#: Fewer items than this say nothing, more than that little that is new.
_LEAST_ITEMS, _MOST_ITEMS = 100, 5_000

#: What explains nothing is trusted this much less than what explains most.
_LEAST = 0.01

#: Drawn at random, features explain less than this, though the best of several penalties counts.
_NOISE = 0.01


@dataclass(frozen=True)
class Explained:
    """Shares of the variance of known items' collaborative vectors that ridge regressions give back on items that they
    were not fitted to; below 0 where they say less than the mean, None where too few items have the content.

    each: by one modality's features alone, for each content modality. together: by all features.
    """

    each: tuple[float | None, ...]
    together: float | None

    @property
    def says_something(self) -> bool:
        """Whether content says more of an item that it was not fitted to than chance would."""
        return self.together is not None and self.together >= _NOISE

    def trust(self) -> Tensor:
        """(M,) what is added to the gate's scores of an item without a collaborative vector: the log of what each
        modality explains, less that of the best. Zeros where not all are known, or content says nothing."""
        known = [one for one in self.each if one is not None]
        if not self.says_something or len(known) < len(self.each) or max(known, default=0.0) <= 0:
            return torch.zeros(len(self.each))
        shares = torch.tensor(known)
        return (shares / shares.max()).clamp(min=_LEAST).log()


def explained_by(content: Content, collaborative: Tensor, draws: torch.Generator) -> Explained:
    """What content says of items that it was not fitted to.

    The network's own parts cannot be asked: among the items that it was trained on, the features that single an item
    out best look best, whether or not they say anything of the next one (experiment log, E22).

    collaborative: (I, D) as the joint stage trained them; in the latents content would explain itself. draws: chooses
    the folds.
    """
    known, there = content.present[:, 0], content.present[:, 1:]
    asked = [(vectors, there[:, m]) for m, vectors in enumerate(content.vectors)]
    each = [_on(vectors, collaborative, known & has, draws) for vectors, has in asked]
    if len(each) == 1:
        return Explained(tuple(each), each[0])
    return Explained(tuple(each), _on(torch.cat(content.vectors, 1), collaborative, known & there.any(1), draws))


def _on(features: Tensor, vectors: Tensor, known: Tensor, draws: torch.Generator) -> float | None:
    rows = known.nonzero().flatten()
    rows = rows[torch.randperm(len(rows), generator=draws)[:_MOST_ITEMS].to(rows.device)]
    x, y = features[rows], vectors[rows]
    if len(rows) < _LEAST_ITEMS or not (x.isfinite().all() and y.isfinite().all()):
        return None
    return _explained(x, y)


def _explained(x: Tensor, y: Tensor) -> float:
    """x: (R, W). y: (R, D). Both float32, in shuffled order."""
    lost, spread = [0.0] * len(_PENALTIES), 0.0
    for fold in range(_FOLDS):
        held = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        held[fold::_FOLDS] = True
        seen, wanted, asked, truth = x[~held], y[~held], x[held], y[held]
        spread += float((truth - wanted.mean(0)).square().sum())
        tried = Regression(seen, wanted)
        for at, penalty in enumerate(_PENALTIES):
            lost[at] += float((tried.at(penalty).guess(asked) - truth).square().sum())
    return 1 - min(lost) / spread if spread > 0 else 0.0
