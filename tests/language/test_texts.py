"""Titles as the model's own tokens: cut, padded, and remembered without growing for ever."""

from __future__ import annotations

import pytest
import torch
from tests.language.tiny import tiny_model

from dynmm.language import texts
from dynmm.language.slates import NOBODY, Shelf
from dynmm.language.texts import Texts

TITLES = ["Toy Story (1995)", "", "Toy", "x" * 1_000_000]
DEVICE = torch.device("cpu")


def _shelf() -> Shelf:
    return Shelf(torch.zeros(len(TITLES), 2), torch.zeros(len(TITLES)), TITLES)


def test_titles_are_cut_and_padded_on_the_right() -> None:
    model = tiny_model()
    read = Texts(model).titles(torch.tensor([0, 1, 2, NOBODY, 2, 3]), _shelf(), 3)
    assert read.tokens.shape == (6, 3, model.width)
    own = model.tokens("Toy")
    assert read.real.sum(1).tolist() == [3, 0, min(3, len(own)), 0, min(3, len(own)), 3]
    assert torch.equal(read.tokens[0], model.embed(torch.tensor(model.tokens(TITLES[0])[:3])))
    assert torch.equal(read.tokens[2], read.tokens[4])


def test_remembered_titles_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "_REMEMBERED", 2)
    reader = Texts(tiny_model())
    first = reader.titles(torch.arange(4), _shelf(), 4)
    assert len(reader._titles) == 2
    again = reader.titles(torch.arange(4), _shelf(), 4)
    assert torch.equal(first.tokens, again.tokens)


def test_the_templates_texts_are_the_models_tokens() -> None:
    model = tiny_model()
    found = Texts(model).vectors("<USR>", DEVICE)
    assert torch.equal(found, model.embed(torch.tensor(model.tokens("<USR>"))))
    assert Texts(model).vectors("", DEVICE).shape == (0, model.width)


def test_the_first_text_begins_as_the_models_texts_do() -> None:
    model, read = tiny_model(), Texts(tiny_model())
    assert (model.beginning, read.begins) == ([model.words.beginning], 1)
    first = read.vectors("<USR>", DEVICE, first=True)
    assert torch.equal(first[1:], read.vectors("<USR>", DEVICE))
    assert torch.equal(first[:1], model.embed(torch.tensor(model.beginning)))


def test_the_norm_is_that_of_the_tokens_of_the_texts() -> None:
    model = tiny_model()
    vectors = model.embed(torch.tensor(model.tokens("Toy") + model.tokens("Story")))
    assert Texts(model).norm(["Toy", "Story"], DEVICE) == pytest.approx(float(vectors.norm(dim=1).mean()))
