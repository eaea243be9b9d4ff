"""What is asked with numbers that are not finite."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.adapter.made import Driver, Products, adapter_of, events_of

from dynmm.types import FloatArray, IntArray


def test_an_event_with_numbers_that_are_not_finite_teaches_nothing_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beside, asked = Products.beside, 0

    def breaking(self: Products, items: IntArray) -> FloatArray:
        nonlocal asked
        asked += 1
        found = beside(self, items)
        return found * math.nan if asked == 40 else found

    monkeypatch.setattr(Products, "beside", breaking)
    adapter = adapter_of()
    Driver(adapter).feed(events_of(300))
    assert adapter.refused == 1
    assert len(adapter.kept) > 1
    assert np.isfinite(adapter.arrays()["tried"].astype(float)).all()
    assert adapter.version > 0, "it goes on to learn, and serves what it learned"
