"""The random twin: the same architecture and tokenizer, other weights, the same ones for the same seed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.language.tiny import tiny_folder, tiny_model

from dynmm.language.twin import random_twin


@pytest.mark.parametrize("kind", ["llama", "opt", "bert"])
def test_a_twin_is_the_same_architecture_with_other_weights(kind: str) -> None:
    model = tiny_model(kind)
    twin = random_twin(model, 7)
    assert type(twin) is type(model)
    assert type(twin.library) is type(model.library)
    assert (twin.width, twin.context, twin.precision) == (model.width, model.context, model.precision)
    assert twin.tokens("Toy Story") == model.tokens("Toy Story")
    shapes = [{name: one.shape for name, one in some.named_parameters()} for some in (twin, model)]
    assert shapes[0] == shapes[1]
    assert twin.identity != model.identity
    twin.check()
    model.check()


def test_the_seed_alone_decides_its_weights(tmp_path: Path) -> None:
    folder = tiny_folder("llama", tmp_path)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = random_twin(folder, 7)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    assert random_twin(str(folder), 7).identity == first.identity
    assert random_twin(folder, 8).identity != first.identity
