"""L_nlp: what it is, that the soft tokens learn from it and the model never, and where words come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from tests.language.reading import ranker
from tests.language.slate_samples import shelf, slates
from tests.language.tiny import CAUSAL, tiny_folder, tiny_model
from torch.nn import functional

from dynmm.errors import ModelError
from dynmm.interactions.vocabulary import Vocabulary
from dynmm.language.freezing import parameter_sha256
from dynmm.language.layout import Layout
from dynmm.language.listwise import Listwise
from dynmm.language.loading import open_model
from dynmm.language.questions import Questions
from dynmm.language.targets import NO_TOKEN, Worded, Wordings, answer_tokens, explained_pairs, room, wording_loss


def prefix(rows: int, seed: int = 0) -> torch.Tensor:
    """Soft tokens drawn at random."""
    made = torch.randn(rows, 3, tiny_model().width, generator=torch.Generator().manual_seed(seed))
    return made.requires_grad_()


def table(*rows: list[int]) -> torch.Tensor:
    """Padded on the right."""
    width = max(map(len, rows), default=0)
    return torch.tensor([[*row, *[NO_TOKEN] * (width - len(row))] for row in rows], dtype=torch.int64)


def questions() -> Questions:
    asked = slates()
    answers = torch.arange(len(asked)) % asked.items.shape[1]
    return Questions(asked, answers, torch.arange(len(asked)), torch.ones(asked.items.shape))


@pytest.mark.parametrize("kind", CAUSAL)
def test_the_loss_is_that_of_each_token_after_all_before_it(kind: str) -> None:
    model: Any = tiny_model(kind)
    soft, rows = prefix(2), [[5, 9, 7, 30], [8, 6]]
    expected = []
    for row, tokens in enumerate(rows):
        for place, token in enumerate(tokens):
            words = model.embed(torch.tensor([tokens[:place]], dtype=torch.int64))
            read = torch.cat([soft[row : row + 1], words], 1)
            count = read.shape[1]
            visible = torch.ones(1, count, count, dtype=torch.bool).tril()
            hidden, _ = model.run(read, visible, torch.arange(count)[None])
            expected.append(functional.cross_entropy(model.logits(hidden[:, -1]), torch.tensor([token])))
    got = wording_loss(model, soft, table(*rows))
    assert got.shape == ()
    assert torch.allclose(got, torch.stack(expected).mean(), atol=1e-5)


def test_padding_and_company_change_nothing() -> None:
    model = tiny_model()
    soft = prefix(2)
    padded = torch.cat([table([5, 9, 7], [8, 6, 4]), torch.full((2, 4), NO_TOKEN)], 1)
    assert torch.equal(wording_loss(model, soft, padded), wording_loss(model, soft, padded[:, :3]))
    each = [wording_loss(model, soft[row : row + 1], padded[row : row + 1]) for row in range(2)]
    assert torch.allclose(wording_loss(model, soft, padded), torch.stack(each).mean(), atol=1e-5)


def test_soft_tokens_learn_and_the_model_does_not() -> None:
    model: Any = tiny_model()
    before = parameter_sha256(model.library)
    soft = prefix(2).detach().clone().requires_grad_()
    tokens = table(model.tokens("watched these films"), model.tokens("a robot"))
    optimizer = torch.optim.Adam([soft], 0.05)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = wording_loss(model, soft, tokens)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.5
    assert parameter_sha256(model.library) == before
    assert all(one.grad is None for one in model.library.parameters())


@pytest.mark.parametrize("tokens", [torch.zeros(2, 0, dtype=torch.int64), torch.full((2, 3), NO_TOKEN)])
def test_without_words_there_is_nothing_to_learn(tokens: torch.Tensor) -> None:
    soft = prefix(2)
    loss = wording_loss(tiny_model(), soft, tokens)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0.0
    assert soft.grad is not None
    assert not soft.grad.any()


def test_words_longer_than_the_model_reads_are_refused() -> None:
    with pytest.raises(ModelError, match="longer than"):
        wording_loss(tiny_model(), prefix(1), torch.ones(1, 400, dtype=torch.int64))


def test_texts_are_cut_to_what_a_model_reads(tmp_path: Path) -> None:
    model: Any = open_model(tiny_folder("llama", tmp_path, max_position_embeddings=48), precision="float32")
    text = "the user watched these films " * 20
    tokens = Wordings(model.words, {(0, 0): text}, most=room(model.context)).of(torch.tensor([0]), torch.tensor([0]))
    assert tokens.shape == (1, 46)
    assert torch.isfinite(wording_loss(model, prefix(1), tokens))
    assert room(tiny_model().context) == 96


def test_wordings_by_user_and_item() -> None:
    words = tiny_model().words
    known = Wordings(words, {(0, 3): "a robot", (1, 2): "the user watched these films", (2, 2): ""}, most=8)
    found = known.of(torch.tensor([1, 0, 0, 2]), torch.tensor([2, 3, 2, 2]))
    assert found.shape == (4, 8)
    assert found[0].tolist() == words.read("the user watched these films")[:8]
    own = [*words.read("a robot"), words.ending]
    assert found[1].tolist() == [*own, *[NO_TOKEN] * (8 - len(own))]
    assert (found[2:] == NO_TOKEN).all()
    assert known.told(torch.tensor([1, 0, 0, 2]), torch.tensor([2, 3, 2, 2])).tolist() == [True, True, False, False]
    assert Wordings(words, {}).of(torch.tensor([1]), torch.tensor([1])).shape == (1, 0)


@pytest.mark.parametrize("shown", ["candidate", "segment", "none"])
def test_the_answers_soft_tokens(shown: Any) -> None:
    made, asked = ranker(layout=Layout(history=5, evidence=3, shown=shown)), questions()
    soft = answer_tokens(made, asked, shelf())
    assert soft.shape == (len(asked), 2 if shown == "none" else 3, made.model.width)
    other = Questions(asked.slates, (asked.answers + 1) % 6, asked.people, asked.standing)
    turned = answer_tokens(made, other, shelf())
    assert torch.equal(soft[:, 0], turned[:, 0])
    assert not torch.equal(soft[:, 1], turned[:, 1])


def test_words_are_added_to_the_objective_where_there_are_any() -> None:
    made, asked, items = ranker(), questions(), shelf()
    plain = Listwise(made, items)
    answer = int(asked.slates.items[0, asked.answers[0]])
    wordings = Wordings(tiny_model().words, {(0, answer): "a robot"})
    none = Wordings(tiny_model().words, {(0, answer + 1): "a robot"})
    base = float(plain(asked).detach())
    assert float(Worded(plain, made, items, none, weight=0.5)(asked).detach()) == base
    both = Worded(plain, made, items, wordings, weight=0.5)(asked)
    some = asked.take(slice(0, 1))
    words = wording_loss(made.model, answer_tokens(made, some, items), wordings.of(some.people, torch.tensor([answer])))
    assert float(both.detach()) == pytest.approx(base + 0.5 * float(words.detach()) / len(asked), abs=1e-5)
    both.backward()  # type: ignore[no-untyped-call]
    assert made.encoder is not None
    assert made.encoder.outer.weight.grad is not None
    assert made.encoder.outer.weight.grad.any()


def test_explanations_of_known_users_and_items_are_words() -> None:
    frame = pl.DataFrame(
        {"user_id": ["u", "v", "w"], "item_id": ["b", "a", "z"], "text": ["one", "two", "three"], "source": "people"}
    )
    users, items = Vocabulary(["v", "u"]), Vocabulary(["a", "b"])
    assert explained_pairs(frame, users, items) == {(1, 1): "one", (0, 0): "two"}
    assert explained_pairs(frame, users, items, {(0, 0), (1, 0)}) == {(0, 0): "two"}
