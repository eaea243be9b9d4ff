"""The strongest facts, in order, each saying whose it is."""

from __future__ import annotations

import torch
from torch import Tensor

from dynmm.language.segment import strongest

EVIDENCE = torch.tensor([[[0.1, -3.0], [2.0, 0.0], [9.0, 9.0]]])
PRESENT = torch.tensor([[True, True, False]])


def _same(one: Tensor) -> Tensor:
    return one


def test_facts_are_the_furthest_from_usual_of_candidates_that_are_there() -> None:
    told = strongest(EVIDENCE, PRESENT, torch.zeros(1, 3, 2), 2, _same)
    assert told.tokens.tolist() == [[[0.0, -3.0], [2.0, 0.0]]]
    assert told.real.all()


def test_a_fact_carries_the_token_of_its_candidate() -> None:
    tokens = torch.tensor([[[10.0, 10.0], [20.0, 20.0], [30.0, 30.0]]])
    told = strongest(EVIDENCE, PRESENT, tokens, 2, _same)
    assert told.tokens.tolist() == [[[10.0, 7.0], [22.0, 20.0]]]


def test_facts_of_nought_are_holes() -> None:
    told = strongest(EVIDENCE, PRESENT, torch.zeros(1, 3, 2), 6, _same)
    assert told.real.tolist() == [[True, True, True, False, False, False]]


def test_equal_facts_are_taken_in_their_order() -> None:
    told = strongest(torch.ones(1, 50, 2), torch.ones(1, 50, dtype=torch.bool), torch.zeros(1, 50, 2), 3, _same)
    assert told.tokens.tolist() == [[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]]


def test_no_more_facts_than_there_are() -> None:
    assert strongest(EVIDENCE, PRESENT, torch.zeros(1, 3, 2), 99, _same).tokens.shape == (1, 6, 2)
