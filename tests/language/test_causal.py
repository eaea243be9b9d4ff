"""A causal model through vectors: read alone, from a past or again it is the same; nothing of it is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.language.tiny import CAUSAL, CONTEXT, tiny_folder, tiny_model
from torch import Tensor

from dynmm.errors import ModelError
from dynmm.language.causal import CausalModel
from dynmm.language.loading import open_model
from dynmm.language.past import Apart, Past

_ROWS, _TOKENS = 3, 9


def _model(kind: str, checkpointing: bool = False) -> CausalModel:
    model = tiny_model(kind, "float32", checkpointing)
    assert isinstance(model, CausalModel)
    return model


def _prompt(model: CausalModel, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors of random tokens, a causal mask with holes, and places with a gap."""
    draw = torch.Generator().manual_seed(seed)
    vectors = model.embed(torch.randint(3, 300, (_ROWS, _TOKENS), generator=draw)).clone()
    visible = torch.ones(_ROWS, _TOKENS, _TOKENS, dtype=torch.bool).tril()
    visible &= (torch.rand(visible.shape, generator=draw) < 0.8) | torch.eye(_TOKENS, dtype=torch.bool)
    places = torch.arange(_TOKENS).repeat(_ROWS, 1)
    places[1, 5:] += 7
    return vectors, visible, places


@pytest.mark.parametrize("kind", CAUSAL)
def test_a_causal_prompt_reads_as_the_library_reads_it(kind: str) -> None:
    model = _model(kind)
    tokens = torch.arange(3, 15)[None]
    visible = torch.ones(1, 12, 12, dtype=torch.bool).tril()
    hidden, _ = model.run(model.embed(tokens), visible, torch.arange(12)[None])
    whole = model.library(input_ids=tokens)
    assert torch.allclose(model.logits(hidden), whole.logits, atol=1e-5)
    assert model.logits(hidden).dtype == torch.float32


@pytest.mark.parametrize("kind", CAUSAL)
@pytest.mark.parametrize("cut", [1, 4, 8])
def test_going_on_from_a_past_equals_reading_at_once(kind: str, cut: int) -> None:
    model = _model(kind)
    vectors, visible, places = _prompt(model)
    whole, nothing = model.run(vectors, visible, places)
    first, past = model.run(vectors[:, :cut], visible[:, :cut, :cut], places[:, :cut], keep=True)
    rest, longer = model.run(vectors[:, cut:], visible[:, cut:], places[:, cut:], past, keep=True)
    assert nothing is None
    assert past is not None
    assert longer is not None
    assert (len(past), len(longer)) == (cut, _TOKENS)
    assert torch.allclose(torch.cat([first, rest], 1), whole, atol=1e-5)


@pytest.mark.parametrize("kind", CAUSAL)
def test_a_past_stays_as_it_is_and_can_be_gone_on_from_again(kind: str) -> None:
    model = _model(kind)
    vectors, visible, places = _prompt(model)
    _, past = model.run(vectors[:, :5], visible[:, :5, :5], places[:, :5], keep=True)
    assert isinstance(past, Past)
    before = [(keys.clone(), values.clone()) for keys, values in past.layers]
    tail = (vectors[:, 5:], visible[:, 5:], places[:, 5:])
    first, _ = model.run(*tail, past, keep=True)
    again, _ = model.run(*tail, past)
    assert torch.equal(first, again)
    for (keys, values), (keys_before, values_before) in zip(past.layers, before, strict=True):
        assert torch.equal(keys, keys_before)
        assert torch.equal(values, values_before)


@pytest.mark.parametrize("kind", CAUSAL)
def test_one_past_serves_many_candidates(kind: str) -> None:
    model = _model(kind)
    vectors, visible, places = _prompt(model)
    _, past = model.run(vectors[:1, :5], visible[:1, :5, :5], places[:1, :5], keep=True)
    assert past is not None
    together, _ = model.run(vectors[:, 5:], visible[:1, 5:].expand(3, -1, -1), places[:1, 5:].expand(3, -1), past)
    repeated = Apart((past,) * 3)
    taken, _ = model.run(vectors[:, 5:], visible[:1, 5:].expand(3, -1, -1), places[:1, 5:].expand(3, -1), repeated)
    assert torch.equal(together, taken)
    for row in range(_ROWS):
        alone, _ = model.run(vectors[row : row + 1, 5:], visible[:1, 5:], places[:1, 5:], past)
        assert torch.allclose(alone[0], together[row], atol=1e-5)


@pytest.mark.parametrize("kind", CAUSAL)
def test_what_is_hidden_has_no_influence(kind: str) -> None:
    model = _model(kind)
    vectors, visible, places = _prompt(model)
    visible[:, :, 3] = False
    visible[:, 3, 3] = True
    seen, _ = model.run(vectors, visible, places)
    vectors[:, 3] = torch.randn(vectors[:, 3].shape, generator=torch.Generator().manual_seed(1)) * 5
    other, _ = model.run(vectors, visible, places)
    rest = [place for place in range(_TOKENS) if place != 3]
    assert torch.equal(seen[:, rest], other[:, rest])
    assert not torch.equal(seen[:, 3], other[:, 3])


@pytest.mark.parametrize("kind", CAUSAL)
def test_places_count_and_not_the_order_in_the_batch(kind: str) -> None:
    """Branches: tokens in any order, each with its own place and its own mask, read the same."""
    model = _model(kind)
    vectors, visible, places = _prompt(model)
    order = torch.tensor([0, 2, 1, 5, 4, 3, 8, 7, 6])
    plain, _ = model.run(vectors, visible, places)
    moved, _ = model.run(vectors[:, order], visible[:, order][:, :, order], places[:, order])
    assert torch.allclose(moved, plain[:, order], atol=1e-5)
    elsewhere, _ = model.run(vectors, visible, places + torch.arange(_TOKENS) * 2)
    assert not torch.allclose(elsewhere[:, 1:], plain[:, 1:], atol=1e-4)


@pytest.mark.parametrize("kind", CAUSAL)
def test_gradients_reach_the_vectors_and_no_parameter(kind: str) -> None:
    model = _model(kind)
    vectors, visible, places = _prompt(model)
    vectors = vectors.detach().requires_grad_()
    hidden, _ = model.run(vectors, visible, places)
    hidden[:, -1].square().sum().backward()  # type: ignore[no-untyped-call]
    assert vectors.grad is not None
    assert float(vectors.grad[:, -1].abs().sum()) > 0
    assert all(one.grad is None and not one.requires_grad for one in model.parameters())
    model.check()


@pytest.mark.parametrize("kind", CAUSAL)
@pytest.mark.parametrize("cut", [0, 4])
def test_recomputing_layers_gives_the_same_gradients(kind: str, cut: int) -> None:
    found = []
    for checkpointing in (False, True):
        model = _model(kind, checkpointing)
        vectors, visible, places = _prompt(model)
        vectors = vectors.detach().requires_grad_()
        past = None
        if cut:
            _, past = model.run(vectors[:, :cut], visible[:, :cut, :cut], places[:, :cut], keep=True)
        hidden, _ = model.run(vectors[:, cut:], visible[:, cut:], places[:, cut:], past)
        hidden.square().sum().backward()  # type: ignore[no-untyped-call]
        assert vectors.grad is not None
        found.append((hidden.detach(), vectors.grad))
    (hidden, gradient), (again, gradient_again) = found
    assert torch.equal(hidden, again)
    assert torch.allclose(gradient, gradient_again, rtol=1e-4, atol=1e-5)
    assert float(gradient[:, 0].abs().sum()) > 0


def test_recomputing_keeps_less_for_the_backward_pass() -> None:
    kept = []
    for checkpointing in (False, True):
        model = _model("llama", checkpointing)
        vectors, visible, places = _prompt(model)
        size = [0]

        def count(tensor: Tensor, size: list[int] = size) -> Tensor:
            size[0] += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            model.run(vectors.detach().requires_grad_(), visible, places)
        kept.append(size[0])
    assert kept[1] < kept[0] / 2


def test_training_mode_of_what_holds_it_switches_no_dropout_on(tmp_path: Path) -> None:
    saved = tiny_folder("opt", tmp_path, dropout=0.9, attention_dropout=0.9, layerdrop=0.9)
    model = open_model(saved, precision="float32")
    holder = torch.nn.ModuleDict({"model": model})
    holder.train()
    assert isinstance(model, CausalModel)
    vectors, visible, places = _prompt(model)
    first, _ = model.run(vectors, visible, places)
    second, _ = model.run(vectors, visible, places)
    assert torch.equal(first, second)
    model.check()


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.integers(1, _TOKENS - 1), st.sampled_from(CAUSAL))
def test_any_prompt_reads_the_same_from_any_cut(seed: int, cut: int, kind: str) -> None:
    model = _model(kind)
    vectors, visible, places = _prompt(model, seed)
    whole, _ = model.run(vectors, visible, places)
    _, past = model.run(vectors[:, :cut], visible[:, :cut, :cut], places[:, :cut], keep=True)
    rest, _ = model.run(vectors[:, cut:], visible[:, cut:], places[:, cut:], past)
    assert torch.allclose(rest, whole[:, cut:], atol=1e-5)


def test_a_token_that_sees_nothing_stays_finite() -> None:
    model = _model("llama")
    vectors, visible, places = _prompt(model)
    visible[0, 2] = False
    hidden, _ = model.run(vectors, visible, places)
    assert bool(torch.isfinite(hidden).all())


@pytest.mark.parametrize("kind", CAUSAL)
def test_a_prompt_beyond_the_context_is_refused(kind: str) -> None:
    model = _model(kind)
    vectors, visible, places = _prompt(model)
    model.run(vectors, visible, places - places.max() + CONTEXT - 1)
    with pytest.raises(ModelError, match=f"longer than the {CONTEXT} that the model reads at once; use a shorter"):
        model.run(vectors, visible, places + CONTEXT)


def test_shapes_that_do_not_fit_are_refused() -> None:
    model = _model("llama")
    vectors, visible, places = _prompt(model)
    with pytest.raises(ModelError, match="do not fit a model of width 32 that goes on from 0 tokens"):
        model.run(vectors, visible[:, :, :-1], places)
    _, past = model.run(vectors[:2], visible[:2], places[:2], keep=True)
    with pytest.raises(ModelError, match="a past of 2 rows cannot be gone on from in 3"):
        model.run(vectors, torch.ones(3, 9, 18, dtype=torch.bool), places, past)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 1)])
def test_pasts_that_lie_apart_are_read_as_the_rows_of_one(sizes: tuple[int, ...]) -> None:
    model = _model("llama")
    vectors, visible, places = _prompt(model)
    _, past = model.run(vectors, visible, places, keep=True)
    assert past is not None
    starts = [sum(sizes[:at]) for at in range(len(sizes))]
    own = [slice(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    apart = Apart(tuple(Past(tuple((k[rows], v[rows]) for k, v in past.layers)) for rows in own))
    assert (apart.rows, len(apart)) == (past.rows, len(past)) == (_ROWS, _TOKENS)
    assert past.bytes == sum(part.bytes for part in apart.parts) > 0
    before = [(k.clone(), v.clone()) for k, v in past.layers]
    more = torch.ones(_ROWS, _TOKENS, 2 * _TOKENS, dtype=torch.bool)
    together, kept = model.run(vectors, more, places + _TOKENS, past, keep=True)
    by_part, kept_by_part = model.run(vectors, more, places + _TOKENS, apart, keep=True)
    assert torch.equal(together, by_part)
    assert kept is not None
    assert kept_by_part is not None
    for one, other in zip(kept.layers, kept_by_part.layers, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
    for was, now in zip(before, past.layers, strict=True):
        assert torch.equal(was[0], now[0]), "a past is left as it is"


@pytest.mark.parametrize("kind", CAUSAL)
def test_bfloat16_reads_nearly_the_same(kind: str) -> None:
    exact, near = _model(kind), tiny_model(kind, "bfloat16")
    vectors, visible, places = _prompt(exact)
    whole, _ = exact.run(vectors, visible, places)
    rounded, _ = near.run(vectors, visible, places)
    assert near.embed(torch.tensor([[5]])).dtype == torch.bfloat16
    assert rounded.dtype == torch.float32
    assert float((whole - rounded).abs().mean()) < 0.05 * float(whole.abs().mean())
    assert near.identity == exact.identity
