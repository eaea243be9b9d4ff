"""L_mm and L_recon against values that were worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from dynmm.fusion.losses import alignment, reconstruction

SCALE = torch.tensor(2.0)


def _there(rows: int, modalities: int) -> Tensor:
    return torch.ones(rows, modalities, dtype=torch.bool)


def _random(seed: int, rows: int = 6) -> Tensor:
    return normalize(torch.randn(rows, 5, generator=torch.Generator().manual_seed(seed)), dim=-1)


def _info_nce(one: Tensor, other: Tensor, scale: float) -> float:
    """The mean of -log softmax of the own pair, in plain Python."""
    total = 0.0
    for i in range(len(one)):
        scores = [scale * float(one[i] @ other[j]) for j in range(len(other))]
        total += math.log(sum(math.exp(score) for score in scores)) - scores[i]
    return total / len(one)


def test_info_nce_of_two_items_by_hand() -> None:
    """Both modalities agree: each item scores 2 with itself and 0 with the other."""
    unit = torch.eye(2)
    loss = alignment([unit, unit], _there(2, 2), SCALE)
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-2)))
    wrong = alignment([unit, unit.flip(0)], _there(2, 2), SCALE)
    assert float(wrong) == pytest.approx(2 + math.log(1 + math.exp(-2)))


def test_the_loss_is_the_mean_over_pairs_and_both_directions() -> None:
    parts = [_random(seed) for seed in range(3)]
    both = [_info_nce(parts[m], parts[n], 3.0) for m in range(3) for n in range(3) if m != n]
    assert float(alignment(parts, _there(6, 3), torch.tensor(3.0))) == pytest.approx(sum(both) / 6, rel=1e-5)


def test_as_in_the_paper_it_goes_one_way_and_leaves_audio_out() -> None:
    parts = [_random(seed) for seed in range(4)]
    pairs = [_info_nce(parts[m], parts[n], 2.0) for m, n in ((0, 1), (0, 2), (1, 2))]
    found = alignment(parts, _there(6, 4), SCALE, one_way=True, without=(3,))
    assert float(found) == pytest.approx(sum(pairs) / 3, rel=1e-5)


def test_only_items_that_have_both_are_compared() -> None:
    one, other = _random(1), _random(2)
    own = _there(6, 2)
    own[0, 0] = own[4, 1] = False
    kept = [1, 2, 3, 5]
    found = alignment([one, other], own, SCALE)
    assert float(found) == pytest.approx(
        (_info_nce(one[kept], other[kept], 2.0) + _info_nce(other[kept], one[kept], 2.0)) / 2, rel=1e-5
    )


def test_an_item_with_the_same_content_is_no_negative() -> None:
    one, other = _random(1, 4), _random(2, 4)
    other[3] = other[0]
    found = alignment([one, other], _there(4, 2), SCALE, one_way=True)
    total = 0.0
    for i in range(4):
        rivals = [j for j in range(4) if j == i or {i, j} != {0, 3}]
        scores = {j: 2 * float(one[i] @ other[j]) for j in rivals}
        total += math.log(sum(math.exp(score) for score in scores.values())) - scores[i]
    assert float(found) == pytest.approx(total / 4, rel=1e-5)
    assert float(alignment([one, one[[0, 0, 0, 0]]], _there(4, 2), SCALE, one_way=True)) == pytest.approx(0, abs=1e-6)


def test_a_higher_scale_punishes_a_wrong_pair_more() -> None:
    unit = torch.eye(3)
    turned = [unit, unit[[1, 2, 0]]]
    assert float(alignment(turned, _there(3, 2), torch.tensor(9.0))) > float(alignment(turned, _there(3, 2), SCALE))


@pytest.mark.parametrize("own", [[[True, False]] * 4, [[True, True], *[[False, True]] * 3], [[False, False]] * 4])
def test_without_two_items_to_compare_it_is_nought_with_a_gradient(own: list[list[bool]]) -> None:
    scale = torch.tensor(2.0, requires_grad=True)
    loss = alignment([_random(1, 4), _random(2, 4)], torch.tensor(own), scale)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert scale.grad is not None
    assert float(scale.grad) == 0


def test_reconstruction_by_hand() -> None:
    decoded = [torch.tensor([[1.0, 2.0], [0.0, 0.0], [9.0, 9.0]]), torch.tensor([[1.0], [1.0], [1.0]])]
    wanted = [torch.tensor([[0.0, 0.0], [0.0, 3.0], [0.0, 0.0]]), torch.tensor([[1.0], [3.0], [5.0]])]
    present = torch.tensor([[True, True], [True, False], [False, True]])
    # First modality: (1 + 4 + 0 + 9) over two items; second: (0 + 16) over two items.
    assert float(reconstruction(decoded, wanted, present)) == pytest.approx((14 / 2 + 16 / 2) / 2)


def test_what_is_absent_is_not_reconstructed() -> None:
    decoded = torch.zeros(3, 2, requires_grad=True)
    wanted = torch.tensor([[1.0, 1.0], [5.0, 5.0], [1.0, 1.0]])
    reconstruction([decoded], [wanted], torch.tensor([[True], [False], [True]])).backward()  # type: ignore[no-untyped-call]
    assert decoded.grad is not None
    assert decoded.grad[1].tolist() == [0, 0]
    assert bool((decoded.grad[[0, 2]] < 0).all())


def test_with_nothing_to_reconstruct_it_is_nought_with_a_gradient() -> None:
    decoded = torch.ones(3, 2, requires_grad=True)
    loss = reconstruction([decoded], [torch.zeros(3, 2)], torch.zeros(3, 1, dtype=torch.bool))
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert decoded.grad is not None
    assert not decoded.grad.any()
