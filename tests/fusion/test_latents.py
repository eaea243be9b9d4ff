"""An item's latent is the weighed sum of its parts, whatever is missing, and follows from that item alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.fusion.made import features, lacking, places

from dynmm.fusion.content import Content, Standardiser, join
from dynmm.fusion.latents import PROJECTED, ItemLatents, Latents

N_ITEMS, D = 30, 16


def _content() -> Content:
    """Items 0 to 4 have nothing but events, 5 to 9 no picture, 25 and later no events, 29 nothing at all."""
    text = lacking(places("text", width=8), [0, 1, 2, 3, 4, 29])
    image = lacking(places("image", width=5, seed=1), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 29])
    counts = torch.full((N_ITEMS,), 4).numpy()
    counts[25:] = 0
    return join([text, image], [Standardiser.of(text), Standardiser.of(image)], counts)


def _table() -> torch.Tensor:
    return torch.randn(N_ITEMS, D, generator=torch.Generator().manual_seed(7))


def _model(*, learned_gate: bool = True, content_dropout: float = 0.0) -> ItemLatents:
    return ItemLatents(
        _table(),
        [8, 5],
        hidden=12,
        learned_gate=learned_gate,
        train_collaborative=True,
        content_dropout=content_dropout,
        init=torch.Generator().manual_seed(3),
    )


def _noise(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _trained(seed: int = 5, **rates: float) -> Latents:
    found: Latents = _model()(_content(), _table(), noise=_noise(seed), **rates)
    return found


@pytest.mark.parametrize("learned_gate", [True, False])
def test_a_latent_is_the_weighed_sum_of_its_parts(learned_gate: bool) -> None:
    model = _model(learned_gate=learned_gate)
    found = model(_content(), model.collaborative)
    assert len(found.parts) == len(found.projected) == 3
    by_hand = sum((found.weights[:, m, None] * part for m, part in enumerate(found.parts)), torch.zeros(N_ITEMS, D))
    torch.testing.assert_close(found.z, by_hand, rtol=1e-6, atol=1e-7)
    assert torch.equal(found.parts[0], model.collaborative)
    for m, one in enumerate(found.projected):
        assert one.shape == (N_ITEMS, PROJECTED)
        assert bool(((one.norm(dim=1) - 1).abs()[found.shown[:, m]] < 1e-5).all())


def test_what_an_item_lacks_has_no_weight() -> None:
    content = _content()
    found = _model()(content, _table())
    assert torch.equal(found.weights > 0, content.present)
    assert torch.equal(found.z[:5], _table()[:5])
    assert not found.z[29].any()
    assert torch.equal(found.shown, content.present)
    assert torch.equal(found.own, content.present)


def test_a_latent_follows_from_its_own_item_alone() -> None:
    model, content = _model(), _content()
    whole = model(content, _table())
    some = torch.tensor([29, 3, 26, 11, 12, 6, 7, 8])
    few = model(content.take(some), _table()[some])
    assert torch.equal(few.z, whole.z[some])
    text = content.vectors[0].clone()
    text[12] = 99
    changed = model(replace(content, vectors=(text, content.vectors[1])), _table())
    differing = (changed.z != whole.z).any(1).nonzero().flatten().tolist()
    assert differing == [12]


def test_items_without_any_collaborative_vector_are_made_of_content() -> None:
    text = places()
    content = join([text], [Standardiser.of(text)], None)
    model = ItemLatents(
        _table(), [8], hidden=12, learned_gate=True, train_collaborative=True, content_dropout=0.0, init=_noise()
    )
    found = model(content, None)
    assert torch.equal(found.z, found.parts[1])


def test_content_begins_about_as_long_as_collaborative_vectors() -> None:
    found = _model()(_content(), _table())
    lengths = [float(part.detach().norm(dim=1)[10:25].mean()) for part in found.parts]
    assert 0.5 < lengths[1] / lengths[0] < 2
    assert 0.5 < lengths[2] / lengths[0] < 2


def test_hiding_leaves_every_item_something() -> None:
    present = _content().present
    for seed in range(20):
        shown = _trained(seed, modality_dropout=0.9).shown
        assert not (shown & ~present).any()
        assert torch.equal(shown.any(1), present.any(1))


def test_a_modality_is_hidden_as_often_as_asked_the_collaborative_one_included() -> None:
    both = _content().present.sum(1) == 3
    hidden = [~_trained(seed, modality_dropout=0.2).shown[both] for seed in range(100)]
    share = torch.stack(hidden).float().mean((0, 1))
    # An item that would lose all three, a chance of .008, keeps all.
    assert bool(((share - 0.192).abs() < 0.03).all())


def test_what_is_hidden_does_not_enter_the_latent() -> None:
    found = _trained(modality_dropout=0.5)
    assert torch.equal(found.weights > 0, found.shown)


def test_swapped_content_is_marked_as_not_the_items_own() -> None:
    content, plain, found = _content(), _trained(), _trained(swap=0.4)
    assert torch.equal(found.parts[0], plain.parts[0])
    assert torch.equal(found.own[:, 0], content.present[:, 0])
    for m in (1, 2):
        moved = (found.parts[m] != plain.parts[m]).any(1)
        assert torch.equal(moved, content.present[:, m] & ~found.own[:, m])
        assert 0 < int(moved.sum()) < int(content.present[:, m].sum())
        donors = (found.parts[m][moved][:, None] == plain.parts[m][None]).all(2)
        assert bool((donors & content.present[:, m]).any(1).all())
    assert not (found.own & ~content.present).any()
    assert torch.equal(found.shown, content.present)


def test_one_item_alone_cannot_be_swapped() -> None:
    only = _content().take(torch.tensor([12]))
    found = _model()(only, _table()[[12]], noise=_noise(), swap=0.99)
    plain = _model()(only, _table()[[12]])
    assert torch.equal(found.z, plain.z)


def test_the_seed_decides_the_bits_and_inference_draws_nothing() -> None:
    rates = {"modality_dropout": 0.3, "swap": 0.2}
    model, content = _model(content_dropout=0.3), _content()
    one = model(content, _table(), noise=_noise(1), **rates)
    same = model(content, _table(), noise=_noise(1), **rates)
    other = model(content, _table(), noise=_noise(2), **rates)
    assert torch.equal(one.z, same.z)
    assert not torch.equal(one.z, other.z)
    before = torch.get_rng_state()
    assert torch.equal(model(content, _table(), **rates).z, model(content, _table()).z)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_first_weights_follow_from_their_generator() -> None:
    assert all(torch.equal(a, b) for a, b in zip(_model().parameters(), _model().parameters(), strict=True))


def test_an_item_with_nothing_gives_no_gradient_that_is_none() -> None:
    model = _model()
    found = model(_content(), model.collaborative, noise=_noise(), modality_dropout=0.2, swap=0.2)
    torch.nn.functional.normalize(found.z, dim=-1).square().sum().backward()  # type: ignore[no-untyped-call]
    for name, value in model.named_parameters():
        if value.grad is not None:
            assert bool(torch.isfinite(value.grad).all()), name
    assert model.collaborative.grad is not None
    assert not model.collaborative.grad[25:].any()


def test_absent_features_are_not_read() -> None:
    """Whatever stands in a row that is absent."""
    one = features(torch.randn(N_ITEMS, 8, generator=_noise()).numpy(), present=torch.arange(N_ITEMS).numpy() < 20)
    content = join([one], [Standardiser.of(one)], torch.ones(N_ITEMS).numpy())
    model = ItemLatents(
        _table(), [8], hidden=12, learned_gate=True, train_collaborative=True, content_dropout=0.0, init=_noise()
    )
    loud = content.vectors[0].clone()
    loud[20:] = 1e6
    assert torch.equal(model(content, _table()).z, model(replace(content, vectors=(loud,)), _table()).z)
