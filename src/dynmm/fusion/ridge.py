"""Ridge regression of several targets at once, for as many penalties as are to be tried.

R rows, W features, D targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Ridge:
    """weight: (W, D). bias: (D,). Both float32."""

    weight: Tensor
    bias: Tensor

    def guess(self, features: Tensor) -> Tensor:
        """(..., W) features to (..., D) guesses."""
        return features @ self.weight + self.bias


class Regression:
    """What is the same for every penalty: means and covariances, in double precision."""

    def __init__(self, features: Tensor, wanted: Tensor) -> None:
        """features: (R, W). wanted: (R, D). R is at least 1."""
        x, y = features.double(), wanted.double()
        self._mean, self._aim = x.mean(0), y.mean(0)
        x = x - self._mean
        self._covariance, self._aims = x.t() @ x, x.t() @ (y - self._aim)
        self._scale = self._covariance.diagonal().mean().clamp(min=1e-12)

    def at(self, penalty: float) -> Ridge:
        """penalty: relative to the mean diagonal of the covariance."""
        damped = self._covariance.clone()
        damped.diagonal().add_(penalty * self._scale)
        weight = torch.linalg.solve(damped, self._aims)
        # As it is read from disk, so that the same products give the same bits.
        return Ridge(weight.float().contiguous(), (self._aim - self._mean @ weight).float())
