from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynmm.encoders.attributes import Ramp, Word, degrees

_NUMBERS = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(("value", "degree"), [(-5, 0), (2, 0), (3, 0.25), (6, 1), (9, 1)])
def test_a_rising_ramp(value: float, degree: float) -> None:
    assert Ramp("x", 2, 6).degree(value) == degree


@pytest.mark.parametrize(("value", "degree"), [(9, 0), (6, 0), (3, 0.75), (2, 1), (-5, 1)])
def test_a_falling_ramp(value: float, degree: float) -> None:
    assert Ramp("x", 6, 2).degree(value) == degree


@given(_NUMBERS, _NUMBERS, st.floats(-1e3, 1e3), st.floats(0.01, 1e3))
def test_ramps_never_turn_back(one: float, other: float, none: float, width: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= Ramp("x", none, none + width).degree(low) <= Ramp("x", none, none + width).degree(high) <= 1


def test_a_word_holds_as_far_as_its_weakest_ramp() -> None:
    word = Word("soft", "", (Ramp("x", 0, 10), Ramp("y", 0, 10)))
    assert degrees([word], {"x": 9, "y": 3}).tolist() == [pytest.approx(0.3)]
    assert degrees([word], {"x": 9, "y": 3}).dtype == np.float32
