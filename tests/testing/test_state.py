"""The hash sees every change, and no change where there is none."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from dynmm.testing import state_hash


class Part:
    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


class Holder:
    def __init__(self) -> None:
        self.array = np.arange(6).reshape(2, 3)
        self.nested: dict[str, Any] = {"list": [1, 2.0, None], "set": {3, 1}, "part": Part(4)}
        self.module = torch.nn.Linear(2, 2)
        torch.nn.init.ones_(self.module.weight)
        torch.nn.init.zeros_(self.module.bias)
        self.sparse = sp.csr_matrix(np.eye(3))
        self.random = np.random.default_rng(1)
        self.itself = self


def _shift_weight(holder: Holder) -> None:
    with torch.no_grad():
        holder.module.weight[0, 0] += 1e-7


CHANGES: dict[str, Callable[[Holder], object]] = {
    "array": lambda holder: holder.array.__setitem__((1, 2), 9),
    "shape": lambda holder: setattr(holder, "array", holder.array.reshape(3, 2)),
    "list": lambda holder: holder.nested["list"].append(5),
    "set": lambda holder: holder.nested["set"].add(5),
    "slot": lambda holder: setattr(holder.nested["part"], "value", 5),
    "weight": _shift_weight,
    "sparse": lambda holder: holder.sparse.data.__setitem__(0, 2.0),
    "generator": lambda holder: holder.random.random(),
    "attribute": lambda holder: setattr(holder, "fresh", None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_changes_the_hash(change: str) -> None:
    holder = Holder()
    before = state_hash(holder)
    CHANGES[change](holder)
    assert state_hash(holder) != before


def test_equal_states_have_equal_hashes() -> None:
    assert state_hash(Holder()) == state_hash(Holder())


class Remembering:
    only_remembers = True

    def __init__(self) -> None:
        self.last = 0


class Counting:
    def __init__(self) -> None:
        self.events, self.cursor = [1, 2], Remembering()

    @cached_property
    def total(self) -> int:
        return sum(self.events)


def test_what_follows_from_the_rest_is_left_out() -> None:
    counting = Counting()
    before = state_hash(counting)
    assert counting.total == 3
    counting.cursor.last = 9
    assert state_hash(counting) == before
    counting.events.append(3)
    assert state_hash(counting) != before
