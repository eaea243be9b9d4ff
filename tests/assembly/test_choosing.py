"""Which re-ranker serves: what gains on validation, however little, since its weight has been sure of a gain before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from dynmm.assembly import choosing
from dynmm.assembly.choosing import choose
from dynmm.assembly.reranked import NONE

BELOW = [0.0, 1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("gains", "chosen"),
    [
        ({"mlp": BELOW}, NONE),
        ({"mlp": [0.0, 0.9, 0.5, 0.0]}, NONE),
        ({"mlp": [0.2, 0.9, 0.5, 0.0]}, "mlp"),
        ({"mlp": [0.2, 0.9, 0.5, 0.0], "transformer": [0.3, 0.9, 0.5, 0.0], "language": BELOW}, "transformer"),
        ({"mlp": [0.0, 0.9, 0.5, 0.0], "language": [0.0, 1.0, 0.6, 0.0]}, "language"),
    ],
)
def test_the_best_on_validation_serves_if_it_gains_at_all(
    gains: dict[str, list[float]], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {name: np.array(one) for name, one in ({NONE: BELOW} | gains).items()}
    monkeypatch.setattr(choosing, "_gains", lambda *_: found)
    reranked, how = SimpleNamespace(fitted=gains), SimpleNamespace(stage=lambda _: None)
    best, reached = choose(cast(Any, None), cast(Any, reranked), cast(Any, [0]), cast(Any, how))
    assert best == chosen
    assert reached == {name: one.mean() for name, one in found.items()}
