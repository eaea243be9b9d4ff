"""The fused softmax against the plain one, and the sampled one against what it estimates."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from dynmm.training.softmax import (
    MaskedPairs,
    NegativeSampler,
    accidental_hits,
    full_softmax,
    sampled_softmax,
    unit_rows,
)

TOKENS, ITEMS, WIDTH = 37, 53, 16


def _inputs(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(3)
    users = torch.randn(TOKENS, WIDTH, generator=source, dtype=dtype).mul_(2).requires_grad_()
    items = torch.randn(ITEMS, WIDTH, generator=source, dtype=dtype).requires_grad_()
    return users, items, torch.randint(0, ITEMS, (TOKENS,), generator=source)


def _masked(targets: torch.Tensor) -> MaskedPairs:
    source = torch.Generator().manual_seed(4)
    pairs = (torch.rand(TOKENS, ITEMS, generator=source) < 0.1).nonzero()
    pairs = pairs[pairs[:, 1] != targets[pairs[:, 0]]]
    return MaskedPairs(pairs[:, 0].contiguous(), pairs[:, 1].contiguous())


def _plain(users: torch.Tensor, items: torch.Tensor, targets: torch.Tensor, masked: MaskedPairs | None) -> torch.Tensor:
    logits = users @ items.t()
    if masked is not None:
        logits = logits.index_put((masked.rows, masked.items), torch.tensor(-torch.inf, dtype=logits.dtype))
    return cross_entropy(logits, targets)


@pytest.mark.parametrize("chunk_elements", [1, ITEMS * 5, 10**9])
@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize(
    ("precision", "loss_tolerance", "gradient_tolerance"),
    [(torch.float32, 1e-6, 1e-5), (torch.bfloat16, 2e-2, 3e-2)],
)
def test_full_softmax_equals_cross_entropy(
    chunk_elements: int, with_mask: bool, precision: torch.dtype, loss_tolerance: float, gradient_tolerance: float
) -> None:
    users, items, targets = _inputs()
    masked = _masked(targets) if with_mask else None
    expected = _plain(users, items, targets, masked)
    expected_gradients = torch.autograd.grad(expected * 3, (users, items))
    found = full_softmax(users, items, targets, masked, precision=precision, chunk_elements=chunk_elements)
    found_gradients = torch.autograd.grad(found * 3, (users, items))
    assert found.item() == pytest.approx(expected.item(), rel=loss_tolerance)
    for one, other in zip(found_gradients, expected_gradients, strict=True):
        assert (one - other).norm() <= gradient_tolerance * other.norm()


def test_full_softmax_gradient_is_the_slope_of_its_loss() -> None:
    users, items, targets = _inputs(torch.float64)
    masked = _masked(targets)

    def loss(users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        return full_softmax(users, items, targets, masked, precision=torch.float64, chunk_elements=ITEMS * 7)

    assert torch.autograd.gradcheck(loss, (users, items))


def test_a_certain_model_has_a_finite_loss_in_low_precision() -> None:
    users, items, targets = torch.eye(4) * 1000, torch.eye(4).flip(0), torch.arange(4)
    loss = full_softmax(users.requires_grad_(), items, targets)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert users.grad is not None
    assert torch.isfinite(users.grad).all()


def test_unit_rows_has_the_gradient_of_normalize() -> None:
    table = torch.randn(9, 5, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(unit_rows(table), normalize(table, dim=-1))
    assert torch.autograd.gradcheck(unit_rows, (table,))


def test_unit_rows_leaves_zero_rows_alone() -> None:
    assert unit_rows(torch.zeros(2, 3)).eq(0).all()


def test_sampled_softmax_over_all_other_items_is_the_full_one() -> None:
    users, items, targets = _inputs(torch.float64)
    masked = _masked(targets)
    everyone = torch.arange(ITEMS)
    hits = accidental_hits(everyone, ITEMS, targets, masked)
    found = sampled_softmax(users, items[targets], items, torch.zeros(ITEMS, dtype=torch.float64), hits)
    torch.testing.assert_close(found, _plain(users, items, targets, masked), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("power", [0.0, 0.75])
def test_sampled_softmax_estimates_the_full_one(power: float) -> None:
    users, items, targets = _inputs()
    counts = torch.arange(1, ITEMS + 1)
    sampler, source = NegativeSampler(counts, 60, power), torch.Generator().manual_seed(0)
    estimates = []
    for _ in range(400):
        drawn = sampler.draw(source)
        hits = accidental_hits(drawn.items, ITEMS, targets, None)
        estimates.append(sampled_softmax(users, items[targets], items[drawn.items], drawn.log_inclusion, hits).item())
    full = _plain(users, items, targets, None).item()
    assert sum(estimates) / len(estimates) == pytest.approx(full, rel=0.06)


def test_sampled_softmax_gradient_is_the_slope_of_its_loss() -> None:
    users, items, targets = _inputs(torch.float64)
    drawn = NegativeSampler(torch.ones(ITEMS), 20, 0.0).draw(torch.Generator().manual_seed(1))
    hits = accidental_hits(drawn.items, ITEMS, targets, _masked(targets))

    def loss(users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        return sampled_softmax(users, items[targets], items[drawn.items], drawn.log_inclusion.double(), hits)

    assert torch.autograd.gradcheck(loss, (users, items))


def test_inclusion_is_how_often_an_item_is_drawn() -> None:
    sampler, source = NegativeSampler(torch.tensor([1, 4, 16, 64, 1]), 3, 0.5), torch.Generator().manual_seed(2)
    seen = torch.zeros(5)
    for _ in range(4000):
        seen[sampler.draw(source).items] += 1
    everyone = NegativeSampler(torch.tensor([1, 4, 16, 64, 1]), 3, 0.5)._log_inclusion.exp()
    torch.testing.assert_close(seen / 4000, everyone, atol=0.03, rtol=0)
