"""What a user gets follows from the user's own newest events, and from nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dynmm.backbone.inference import user_vectors
from dynmm.backbone.pretraining import set_start
from dynmm.backbone.sasrec import SASRec
from dynmm.training.dropout import drop

N_ITEMS, POSITIONS = 200, 20


def _model(blocks: int = 2, fading: bool = False) -> SASRec:
    init = torch.Generator().manual_seed(5)
    sizes = {"width": 32, "blocks": blocks, "inner": 32, "positions": POSITIONS}
    return SASRec(N_ITEMS, **sizes, item_scale=0.5, fading=fading, init=init)


def _histories(count: int) -> list[np.ndarray[tuple[int], np.dtype[np.int32]]]:
    random = np.random.default_rng(6)
    return [random.integers(0, N_ITEMS, random.integers(0, 40)).astype(np.int32) for _ in range(count)]


@pytest.mark.parametrize("fading", [False, True])
def test_no_place_sees_a_later_one(fading: bool) -> None:
    model, items = _model(fading=fading), torch.randint(0, N_ITEMS, (3, 9), generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([9, 9, 9])
    before = model(items, lengths)
    items[:, 6:] = (items[:, 6:] + 1) % N_ITEMS
    after = model(items, lengths)
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.equal(before[:, 6:], after[:, 6:])


@pytest.mark.parametrize("fading", [False, True])
@pytest.mark.parametrize("blocks", [1, 3])
def test_encode_is_the_last_place_of_forward(blocks: int, fading: bool) -> None:
    model = _model(blocks, fading)
    items = torch.randint(0, N_ITEMS, (5, 8), generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([8, 1, 3, 5, 7])
    last = model(items, lengths)[torch.arange(5), lengths - 1]
    torch.testing.assert_close(model.encode(items, lengths), model.users(last), rtol=1e-5, atol=1e-5)


def test_padding_changes_nothing() -> None:
    model, lengths = _model(), torch.tensor([3, 6])
    items = torch.randint(0, N_ITEMS, (2, 16), generator=torch.Generator().manual_seed(1))
    other = torch.where(torch.arange(16) < lengths[:, None], items, 7)
    assert torch.equal(model.encode(items, lengths), model.encode(other, lengths))


@pytest.mark.parametrize("fading", [False, True])
def test_a_user_gets_the_same_bits_in_any_company(fading: bool) -> None:
    model, histories = _model(fading=fading), _histories(60)
    together = user_vectors(model, histories)
    backwards = user_vectors(model, histories[::-1]).flip(0)
    alone = torch.cat([user_vectors(model, [history]) for history in histories])
    assert torch.equal(together, backwards)
    assert torch.equal(together, alone)


def test_places_are_counted_from_the_newest_event() -> None:
    model, histories = _model(), [np.arange(30, dtype=np.int32), np.arange(10, 30, dtype=np.int32)]
    found = user_vectors(model, histories)
    assert torch.equal(found[0], found[1])


def test_attention_fades_with_the_distance() -> None:
    """With equal keys everywhere the attention is the softmax of minus slope times distance, head by head."""
    model = _model(blocks=1, fading=True)
    assert model.slopes is not None
    hidden = model._hidden(torch.zeros(1, 4, 32))
    assert hidden.shape == (2, 4, 4)
    assert hidden[0, 3].tolist() == pytest.approx([-1.5, -1.0, -0.5, 0.0])
    assert hidden[1, 3].tolist() == pytest.approx([-0.15, -0.1, -0.05, 0.0])
    assert (hidden[:, 0, 1:] < -1e29).all()


def test_an_empty_history_ranks_by_popularity() -> None:
    model = _model()
    counts = torch.arange(N_ITEMS).flip(0).float() ** 2
    set_start(model, counts)
    with torch.no_grad():
        scores = model.items() @ user_vectors(model, [np.empty(0, np.int32)])[0]
    # 200 items in 32 random dimensions cannot be put into any order whatever; most of it is there.
    assert torch.corrcoef(torch.stack([scores, counts]))[0, 1] > 0.3
    assert scores[:50].mean() > scores[50:100].mean() > scores[100:].mean()


def test_dropout_keeps_the_mean_and_follows_its_generator() -> None:
    values = torch.ones(1000, 33)
    one, same, other = (drop(values, 0.4, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.mean().item() == pytest.approx(1, abs=0.02)
    assert (one == 0).float().mean().item() == pytest.approx(0.4, abs=0.01)
    assert drop(values, 0.4, None) is values


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="3 heads"):
        SASRec(5, width=32, heads=3)
