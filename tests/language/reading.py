"""Rankers over tiny models that give scores other than nought, shared by tests of what reads prompts."""

from __future__ import annotations

import torch
from tests.language.slate_samples import FACTS, WIDTH, shelf, slates
from tests.language.tiny import tiny_model

from dynmm.language.layout import Layout
from dynmm.language.ranker import LanguageRanker

#: History items of the samples.
HISTORY = 5


def ranker(kind: str = "llama", layout: Layout | None = None, *, seed: int = 0, dropout: float = 0.0) -> LanguageRanker:
    """In evaluation mode, fitted to the samples, with a read-out drawn at random as if it were trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layout = layout or Layout(history=HISTORY, evidence=3)
        made = LanguageRanker(tiny_model(kind), layout, WIDTH, FACTS, hidden=16, dropout=dropout)
        torch.nn.init.normal_(made.readout.score.weight, std=0.1)
    made.fit(slates(), shelf())
    return made.eval()
