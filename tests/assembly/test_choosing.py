"""Which re-ranker serves, by what it gains on the questions that chose its weight and on validation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dynmm.assembly.choosing import surest
from dynmm.assembly.reranked import NONE
from dynmm.language.gamma import Gain


def _gaining(share: float, of: int = 1000) -> NDArray[np.float64]:
    """NDCG@10 of questions of which so many go from .5 to 1; a negative share, from .5 to 0. The rest stays."""
    reached = np.full(of, 0.5)
    reached[: round(abs(share) * of)] += 0.5 if share > 0 else -0.5
    return reached


def _chosen(validation: float, held: Gain) -> str:
    return surest({NONE: np.full(1000, 0.5), "mlp": _gaining(validation)}, {"mlp": held})[0]


# One question of a thousand that climbs gains exactly one standard error, four of them two.
@pytest.mark.parametrize(
    ("validation", "held", "chosen"),
    [
        (0.010, Gain(0.0, 0.0), "mlp"),
        (0.004, Gain(0.0, 0.0), "mlp"),
        (0.003, Gain(0.0, 0.0), NONE),
        (0.003, Gain(0.0005, 0.0009), NONE),
        (0.003, Gain(0.0018, 0.0009), "mlp"),
        (0.000, Gain(0.0180, 0.0009), NONE),
        (-0.001, Gain(0.0180, 0.0009), NONE),
    ],
)
def test_a_kind_serves_where_both_samples_together_are_sure_and_validation_gains(
    validation: float, held: Gain, chosen: str
) -> None:
    assert _chosen(validation, held) == chosen


def test_of_several_that_are_sure_the_best_on_validation_serves() -> None:
    reached = {
        NONE: np.full(1000, 0.5),
        "mlp": _gaining(0.02),
        "transformer": _gaining(0.03),
        "language": _gaining(0.05),
    }
    held = {"mlp": Gain(0.02, 0.001), "transformer": Gain(0.01, 0.001), "language": Gain(-0.05, 0.001)}
    chosen, measured = surest(reached, held)
    assert chosen == "transformer"
    assert measured[NONE] == {"validation_ndcg@10": 0.5}
    assert measured["language"]["standard_errors"] < 0 < measured["language"]["validation_gain"]
    assert measured["mlp"]["validation_gain"] == pytest.approx(0.01)
    assert measured["mlp"]["validation_ndcg@10"] == pytest.approx(0.51)


def test_without_a_kind_that_was_trained_nothing_serves() -> None:
    assert surest({NONE: np.full(9, 0.5)}, {}) == (NONE, {NONE: {"validation_ndcg@10": 0.5}})
