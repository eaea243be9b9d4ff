"""Our own recommender goes through the suite that every comparison system goes through."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dynmm.backbone.settings import BackboneSettings
from dynmm.backbone.system import BackboneSystem
from dynmm.system import System
from dynmm.testing import SYSTEM_CHECKS, check_accuracy

_QUICK = BackboneSettings(width=16, inner=16, epochs=2, patience=2, precision="float32", batch_places=512)
_ENOUGH = _QUICK.model_copy(
    update={"width": 32, "inner": 32, "epochs": 40, "patience": 40, "learning_rate": 5e-3, "batch_places": 128}
)


@pytest.mark.parametrize("check", SYSTEM_CHECKS, ids=lambda check: str(check.__name__))
def test_backbone_keeps_the_contract(check: Callable[[Callable[[], System]], None]) -> None:
    check(lambda: BackboneSystem(_QUICK, seed=1))


@pytest.mark.slow
def test_backbone_accuracy_floor() -> None:
    check_accuracy(lambda: BackboneSystem(_ENOUGH, seed=1), 0.5)
