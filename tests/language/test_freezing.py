"""A frozen model is proved so by hash, and cannot be thawed unseen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.language.tiny import tiny_folder

from dynmm.errors import ModelError
from dynmm.language.freezing import check_frozen, freeze, parameter_sha256
from dynmm.language.loading import open_model


def _layers(seed: int = 0) -> torch.nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 2))


def test_the_hash_is_of_values_names_and_shapes() -> None:
    first = parameter_sha256(_layers())
    assert first == parameter_sha256(_layers())
    assert first != parameter_sha256(_layers(1))
    one, other = torch.nn.Linear(2, 3, bias=False), torch.nn.Linear(3, 2, bias=False)
    other.weight.data = one.weight.data.reshape(2, 3)
    assert parameter_sha256(one) != parameter_sha256(other)


def test_widening_keeps_the_hash() -> None:
    layers = _layers().to(torch.float16)
    narrow = parameter_sha256(layers)
    assert narrow == parameter_sha256(layers.to(torch.float32))
    assert narrow != parameter_sha256(_layers())


def test_a_thawed_or_changed_model_is_noticed() -> None:
    layers = _layers()
    freeze(layers)
    sha256 = parameter_sha256(layers)
    check_frozen(layers, sha256)
    layers[1].train()
    with pytest.raises(ModelError, match="the part 1 of a frozen model is in training mode"):
        check_frozen(layers, sha256)
    layers.eval()
    layers.get_parameter("2.bias").requires_grad_(True)
    with pytest.raises(ModelError, match=r"parameter 2\.bias of a frozen model asks for gradients"):
        check_frozen(layers, sha256)
    freeze(layers)
    layers.get_parameter("0.weight").data[0, 0] += 1
    with pytest.raises(ModelError, match="have changed"):
        check_frozen(layers, sha256)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_optimizer_cannot_change_an_opened_model(tmp_path: Path, precision: str) -> None:
    model = open_model(tiny_folder("llama", tmp_path), precision=precision)  # type: ignore[arg-type]
    soft = torch.nn.Parameter(torch.randn(1, 4, model.width, generator=torch.Generator().manual_seed(0)))
    optimizer = torch.optim.AdamW([soft, *model.parameters()], lr=0.1, weight_decay=0.5)
    before = soft.detach().clone()
    for _ in range(3):
        hidden, _ = model.run(soft, torch.ones(1, 4, 4, dtype=torch.bool).tril(), torch.arange(4)[None])
        optimizer.zero_grad()
        hidden.square().mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert not torch.equal(before, soft)
    model.check()
    next(iter(model.parameters())).data[5] += 1
    with pytest.raises(ModelError, match="have changed"):
        model.check()
