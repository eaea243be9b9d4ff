"""The mlp and the transformer, which share everything but what is between inputs and scores."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.language.slate_samples import FACTS, WIDTH, shelf, slates
from torch import nn

from dynmm.assembly.whyrerank import check_rerank
from dynmm.config import Config
from dynmm.errors import ConfigError
from dynmm.language.compact import CompactShape
from dynmm.language.inputs import CandidateFeatures
from dynmm.language.mlp import Perceptron
from dynmm.language.slates import NOBODY
from dynmm.language.table import TABLE, entry_of, make

CONTROLS = ["mlp", "transformer"]


def _made(kind: str, *, relative: bool = True, moved: bool = True, seed: int = 0) -> nn.Module:
    features = CandidateFeatures(FACTS, relative=relative)
    features.fit(slates(40), shelf())
    model = make(kind, seed, features, WIDTH, hidden=16, rank=4, dropout=0.3)
    if moved:
        draws = torch.Generator().manual_seed(1)
        for name, one in model.named_parameters():
            if name.endswith("out.weight"):
                nn.init.normal_(one, generator=draws)
    return model.eval()


@pytest.mark.parametrize("kind", CONTROLS)
@torch.no_grad()
def test_an_untrained_one_changes_no_order(kind: str) -> None:
    assert (_made(kind, moved=False)(slates(4), shelf()) == 0).all()


@pytest.mark.parametrize("kind", CONTROLS)
@pytest.mark.parametrize("candidates", [2, 6])
@torch.no_grad()
def test_the_others_of_a_batch_change_no_bit(kind: str, candidates: int) -> None:
    model, asked, items = _made(kind), slates(9, candidates), shelf()
    whole = model(asked, items)
    assert whole.shape == (9, candidates)
    assert whole.dtype == torch.float32
    for rows in (slice(0, 1), slice(3, 5), slice(2, 9)):
        assert torch.equal(model(asked.take(rows), items), whole[rows])
    assert model(asked.take(slice(0, 0)), items).shape == (0, candidates)


@pytest.mark.parametrize("kind", CONTROLS)
@torch.no_grad()
def test_padding_changes_nothing(kind: str) -> None:
    model, items = _made(kind), shelf()
    whole = slates(5, padding=2)
    short = whole.places(torch.arange(4).expand(5, -1))
    assert torch.allclose(model(whole, items)[:, :4], model(short, items), atol=1e-5)
    assert torch.isfinite(model(slates(3, padding=6), items)).all()


@pytest.mark.parametrize("kind", CONTROLS)
@torch.no_grad()
def test_candidates_have_no_order_beyond_their_features(kind: str) -> None:
    model, asked, items = _made(kind, relative=False), slates(5), shelf()
    order = torch.tensor([3, 0, 5, 1, 4, 2]).expand(5, -1)
    assert torch.allclose(model(asked.places(order), items), model(asked, items).gather(1, order), atol=1e-5)


@pytest.mark.parametrize("kind", CONTROLS)
@pytest.mark.parametrize("part", ["users", "facts", "items"])
@torch.no_grad()
def test_every_input_is_read(kind: str, part: str) -> None:
    model, asked, items = _made(kind), slates(5), shelf()
    changed = replace(asked, **{part: getattr(asked, part).roll(1, 0)})
    assert not torch.allclose(model(changed, items), model(asked, items), atol=1e-3)


@torch.no_grad()
def test_the_mlp_is_the_mean_of_members_that_differ() -> None:
    model, asked, items = _made("mlp"), slates(5), shelf()
    assert isinstance(model, Perceptron)
    members = model.each(asked, items)
    assert members.shape == (5, 5, 6)
    assert torch.allclose(model(asked, items), members.mean(0), atol=1e-5)
    assert not torch.allclose(members[0], members[1], atol=1e-2)


@torch.no_grad()
def test_the_transformer_reads_the_newest_history_in_its_order() -> None:
    model, asked, items = _made("transformer"), slates(5), shelf()
    nn.init.normal_(model.get_parameter("place"), generator=torch.Generator().manual_seed(2))
    before = model(asked, items)
    longer = torch.cat([torch.full((5, 3), NOBODY), asked.history], dim=1)
    assert torch.allclose(model(replace(asked, history=longer), items), before, atol=1e-5)
    backwards = replace(asked, history=asked.history.flip(1))
    assert not torch.allclose(model(backwards, items), before, atol=1e-4)
    nobody = replace(asked, history=torch.full_like(asked.history, NOBODY))
    assert torch.isfinite(model(nobody, items)).all()


@pytest.mark.parametrize("kind", CONTROLS)
def test_the_seed_decides_the_first_weights_and_nothing_else(kind: str) -> None:
    torch.manual_seed(5)
    one = _made(kind, seed=1)
    drawn = torch.rand(1)
    torch.manual_seed(6)
    same, other = _made(kind, seed=1), _made(kind, seed=2)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    drawn_ones = [name for name, _ in one.named_parameters() if name.endswith("projections.user.weight")]
    assert drawn_ones
    assert not any(torch.equal(one.get_parameter(name), other.get_parameter(name)) for name in drawn_ones)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))


def test_what_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(ConfigError, match="language, mlp, transformer"):
        entry_of("forest")
    assert all(one.path.startswith("dynmm.language.") for one in TABLE.values())


def test_heads_that_do_not_divide_the_width_are_refused_where_it_is_configured() -> None:
    """They ended in an error of torch in the middle of a fit."""
    for kind in ("auto", "transformer"):
        with pytest.raises(ConfigError, match=r"reranking\.hidden: the width 10 .* 4 heads .* a multiple of 4"):
            check_rerank(Config.of({"rerank": kind, "reranking": {"hidden": 10}}))
    check_rerank(Config.of({"rerank": "mlp", "reranking": {"hidden": 10}}))
    with pytest.raises(ValueError, match="the width 10 cannot be split among 4 heads"):
        make("transformer", 0, CandidateFeatures(FACTS), WIDTH, hidden=10, rank=4, dropout=0.0)


@pytest.mark.parametrize("sizes", [{"hidden": 30}, {"hidden": 12}, {"heads": 3}, {"heads": 0}, {"hidden": 0}], ids=str)
def test_so_they_are_in_the_compact_model(sizes: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="cannot be split into pairs among"):
        CompactShape(**sizes)


@pytest.mark.parametrize("kind", CONTROLS)
@torch.no_grad()
def test_questions_are_read_where_the_weights_are(kind: str) -> None:
    """Slates of a request lie on the processor, whatever the device; the meta device stands for an accelerator here."""
    model = _made(kind).to("meta")
    for count in (1, 3):
        scores = model(slates(count, 6), shelf())
        assert scores.device.type == "meta"
        assert scores.shape == (count, 6)
