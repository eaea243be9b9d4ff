"""The gate's weights: of what is there, never of what is not, and less of what disagrees."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from dynmm.fusion.gate import Gate, agreement, mean_gate

P = 4


def _made(rows: int, modalities: int, seed: int) -> tuple[list[torch.Tensor], torch.Tensor]:
    draws = torch.Generator().manual_seed(seed)
    projected = [normalize(torch.randn(rows, P, generator=draws), dim=-1) for _ in range(modalities)]
    return projected, torch.rand(rows, modalities, generator=draws)


def _trained(modalities: int, seed: int) -> Gate:
    gate, draws = Gate(modalities), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in gate.parameters():
            parameter.normal_(std=3, generator=draws)
    return gate


@settings(max_examples=30)
@given(
    present=st.integers(1, 4).flatmap(
        lambda modalities: st.lists(
            st.lists(st.booleans(), min_size=modalities, max_size=modalities), min_size=1, max_size=6
        )
    ),
    seed=st.integers(0, 1000),
)
def test_weights_are_shared_out_among_what_is_there(present: list[list[bool]], seed: int) -> None:
    there = torch.tensor(present)
    projected, quality = _made(len(there), there.shape[1], seed)
    for weights in (_trained(there.shape[1], seed)(projected, there, quality), mean_gate(there)):
        assert bool((weights >= 0).all())
        assert not weights[~there].any()
        torch.testing.assert_close(weights.sum(1), there.any(1).float())


def test_the_mean_gate_weighs_all_alike() -> None:
    there = torch.tensor([[True, False, True], [True, True, True], [False, False, False]])
    wanted = [[0.5, 0.0, 0.5], [1 / 3, 1 / 3, 1 / 3], [0.0, 0.0, 0.0]]
    torch.testing.assert_close(mean_gate(there), torch.tensor(wanted))


def test_an_untrained_gate_goes_by_quality_and_agreement_alone() -> None:
    projected, _ = _made(1, 2, 0)
    there = torch.ones(1, 2, dtype=torch.bool)
    better = Gate(2)(projected, there, torch.tensor([[0.2, 0.9]]))[0]
    torch.testing.assert_close(better[1] / better[0], torch.tensor(0.7).exp())


def test_what_disagrees_with_two_others_counts_less() -> None:
    same, other = torch.tensor([[1.0, 0, 0, 0]]), torch.tensor([[-1.0, 0, 0, 0]])
    there, quality = torch.ones(1, 3, dtype=torch.bool), torch.ones(1, 3)
    alike = Gate(3)([same, same, same], there, quality)[0]
    doubted = Gate(3)([same, same, other], there, quality)[0]
    torch.testing.assert_close(alike, torch.full((3,), 1 / 3))
    assert doubted[2] < 0.5 * doubted[0]
    assert doubted[0] == doubted[1]


def test_agreement_is_the_mean_cosine_with_the_others_that_are_there() -> None:
    a, b, c = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([[0.6, 0.8]])
    full = agreement([a, b, c], torch.ones(1, 3, dtype=torch.bool))[0]
    torch.testing.assert_close(full, torch.tensor([0.3, 0.4, 0.7]))
    two = agreement([a, b, c], torch.tensor([[True, False, True]]))[0]
    torch.testing.assert_close(two, torch.tensor([0.6, 0.0, 0.6]))
    assert agreement([a, b, c], torch.tensor([[False, True, False]]))[0, 1] == 0


@pytest.mark.parametrize("nothing", [0.0, 1e4])
def test_an_item_with_nothing_has_a_finite_gradient(nothing: float) -> None:
    gate = _trained(2, 1)
    parts = [torch.full((1, P), nothing, requires_grad=True) for _ in range(2)]
    projected = [normalize(part, dim=-1) for part in parts]
    gate(projected, torch.zeros(1, 2, dtype=torch.bool), torch.zeros(1, 2)).sum().backward()
    for value in (*parts, *gate.parameters()):
        assert value.grad is not None
        assert bool(torch.isfinite(value.grad).all())
