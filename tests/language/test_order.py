"""In `branch` no place that a candidate is given matters, in no precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.language.slate_samples import FACTS, WIDTH, shelf, slates
from tests.language.tiny import tiny_folder

from dynmm.language.layout import Layout
from dynmm.language.loading import open_model
from dynmm.language.prefixes import PrefixCache
from dynmm.language.ranker import LanguageRanker
from dynmm.precision import Precision


@pytest.mark.parametrize("kind", ["llama", "opt"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_branches_give_the_same_bits_in_any_order(tmp_path: Path, kind: str, precision: Precision) -> None:
    model = open_model(tiny_folder(kind, tmp_path / "model"), precision=precision)
    asked, items = slates(3, padding=1), shelf()
    torch.manual_seed(0)
    ranker = LanguageRanker(model, Layout(), WIDTH, FACTS, hidden=8)
    ranker.fit(asked, items)
    torch.nn.init.normal_(ranker.readout.score.weight)
    ranker.eval()
    cached = PrefixCache(ranker, 8)
    columns = torch.stack([torch.randperm(asked.items.shape[1]) for _ in range(3)])
    with torch.no_grad():
        for read in (ranker, cached):
            straight, turned = read(asked, items), read(asked.places(columns), items)
            assert torch.equal(turned, straight.gather(1, columns)), read
            assert float(straight.std()) > 0
