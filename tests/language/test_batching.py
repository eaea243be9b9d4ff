"""Micro-batches: company changes nothing, errors find their owner, closing answers what waits."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.language import slate_samples
from tests.language.tiny import tiny_folder, tiny_model
from torch import Tensor, nn

from dynmm.errors import ModelError
from dynmm.language.batching import MicroBatcher
from dynmm.language.contracts import Reranker
from dynmm.language.layout import Layout
from dynmm.language.loading import open_model
from dynmm.language.prefixes import PrefixCache
from dynmm.language.ranker import LanguageRanker
from dynmm.language.slates import NOBODY, Shelf, Slates


class Attending(nn.Module):
    """A small re-ranker whose candidates see one another and the history, and nothing that is padding."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Linear(slate_samples.WIDTH + slate_samples.FACTS, 16)
        self.sizes: list[int] = []

    def forward(self, slates: Slates, shelf: Shelf) -> Tensor:
        self.sizes.append(len(slates))
        assert not torch.is_grad_enabled()
        shown = self.one(torch.cat([shelf.vectors[slates.items.clamp(min=0)], slates.facts], -1)).tanh()
        before = (shelf.vectors[slates.history.clamp(min=0)] * (slates.history != NOBODY)[..., None]).sum(1)
        near = (shown @ shown.transpose(1, 2)).masked_fill(~slates.present[:, None], -torch.inf).softmax(-1)
        scores: Tensor = (near @ shown).sum(-1) + (before * slates.users).sum(-1, keepdim=True)
        return scores


class Shaped(Attending):
    """The same, which remembers what it was asked: (rows, candidates, history)."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, int, int]] = []

    def forward(self, slates: Slates, shelf: Shelf) -> Tensor:
        self.shapes.append((*slates.items.shape, slates.history.shape[1]))
        return super().forward(slates, shelf)


class Holding:
    """Any re-ranker behind a gate."""

    def __init__(self, reranker: Reranker) -> None:
        self.reranker = reranker
        self.gate, self.reached = threading.Event(), threading.Event()

    def __call__(self, slates: Slates, shelf: Shelf) -> Tensor:
        self.reached.set()
        assert self.gate.wait(10)
        return self.reranker(slates, shelf)


class Held(Holding):
    """What keeps the sizes of its runs, behind a gate: what comes in while it is shut must wait together."""

    def __init__(self) -> None:
        attending = Attending()
        super().__init__(attending)
        self.sizes = attending.sizes


def alone(slates: Slates, shelf: Shelf) -> Tensor:
    with torch.no_grad():
        scores: Tensor = Attending()(slates, shelf)
    return scores


def row(slates: Slates, one: int) -> Slates:
    return slates.take(slice(one, one + 1))


def test_each_of_many_threads_gets_what_it_would_get_alone() -> None:
    shelf = slate_samples.shelf()
    questions = [
        row(slate_samples.slates(seed=one, candidates=3 + one % 2, padding=one % 3), one % 12) for one in range(24)
    ]
    model = Attending()
    with MicroBatcher(model, rows=8, wait_ms=20) as batcher, ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda one: batcher(one, shelf), questions))
    assert max(model.sizes) > 1, "nothing was grouped"
    for question, answer in zip(questions, answers, strict=True):
        assert answer.shape == question.items.shape
        torch.testing.assert_close(answer, alone(question, shelf), rtol=0, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(1, 3)), min_size=1, max_size=5))
def test_company_of_any_shape_changes_nothing(shapes: list[tuple[int, int, int]]) -> None:
    """Questions of one shape alone are grouped: alone they run in that shape, too."""
    shelf = slate_samples.shelf()
    parts = [
        slate_samples.slates(rows, candidates, history=history, seed=one)
        for one, (candidates, history, rows) in enumerate(shapes)
    ]
    model = Shaped()
    with MicroBatcher(model, rows=6, wait_ms=0) as batcher:
        answers = [one.result(10) for one in [batcher.submit(part, shelf) for part in parts]]
    for part, answer in zip(parts, answers, strict=True):
        torch.testing.assert_close(answer, alone(part, shelf), rtol=0, atol=1e-5)
    assert {one[1:] for one in model.shapes} == {(part.items.shape[1], part.history.shape[1]) for part in parts}


def test_facts_of_another_number_run_apart() -> None:
    model, shelf = Held(), slate_samples.shelf()
    same = slate_samples.slates(2)
    with MicroBatcher(model, rows=8, wait_ms=0) as batcher:
        first = batcher.submit(row(same, 0), shelf)
        assert model.reached.wait(10)
        asked = [batcher.submit(one, shelf) for one in (row(same, 0), slate_samples.slates(1, facts=2), row(same, 1))]
        model.gate.set()
        assert first.result(10).shape == asked[0].result(10).shape == asked[2].result(10).shape
        assert isinstance(asked[1].exception(10), RuntimeError), "its own mistake"
    assert model.sizes == [1, 2, 1]


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("kind", ["llama", "bert"])
def test_a_question_keeps_its_history_beside_one_of_many_candidates(kind: str, cached: bool, tmp_path: Path) -> None:
    """In `listwise` many candidates leave no room for the history, and are read in several passes."""
    layout, shelf = Layout("listwise", history=4), slate_samples.shelf()
    few, many = slate_samples.slates(1, 2, seed=1), slate_samples.slates(1, 20, seed=2)
    wide = tiny_model(kind)
    room = sum(len(wide.tokens(text)) for text, _ in layout.pieces) + 13
    model = open_model(tiny_folder(kind, tmp_path, max_position_embeddings=room), precision="float32")
    torch.manual_seed(3)
    ranker = LanguageRanker(model, layout, slate_samples.WIDTH, slate_samples.FACTS, hidden=16)
    ranker.fit(slate_samples.slates(), shelf)
    torch.nn.init.normal_(ranker.readout.score.weight, std=0.3)
    ranker.eval()
    assert ranker.fitted(20).history < ranker.fitted(2).history
    asked = PrefixCache(ranker, 16) if cached else ranker
    with torch.no_grad():
        own = [asked(one, shelf) for one in (few, many)]
    held = Holding(asked)
    with MicroBatcher(held, rows=8, wait_ms=0) as batcher:
        batcher.submit(few, shelf)
        assert held.reached.wait(10)
        answers = [batcher.submit(one, shelf) for one in (few, many)]
        held.gate.set()
        for answer, expected in zip(answers, own, strict=True):
            assert torch.equal(answer.result(10), expected)


def test_what_waits_is_grouped_up_to_the_limit_and_in_order() -> None:
    model, shelf = Held(), slate_samples.shelf()
    questions = slate_samples.slates(12)
    with MicroBatcher(model, rows=4, wait_ms=0) as batcher:
        first = batcher.submit(row(questions, 0), shelf)
        assert model.reached.wait(10)
        rest = [batcher.submit(row(questions, one), shelf) for one in range(1, 12)]
        model.gate.set()
        answers = torch.cat([one.result(10) for one in [first, *rest]])
    assert model.sizes == [1, 4, 4, 3]
    torch.testing.assert_close(answers, alone(questions, shelf), rtol=0, atol=1e-5)


def test_a_question_larger_than_the_limit_runs_alone_and_whole() -> None:
    model, shelf = Held(), slate_samples.shelf()
    questions = slate_samples.slates(6)
    with MicroBatcher(model, rows=2, wait_ms=0) as batcher:
        first = batcher.submit(row(questions, 0), shelf)
        assert model.reached.wait(10)
        large, last = batcher.submit(questions, shelf), batcher.submit(row(questions, 1), shelf)
        model.gate.set()
        assert large.result(10).shape == (6, 6)
        assert last.result(10).shape == first.result(10).shape == (1, 6)
    assert model.sizes == [1, 6, 1]


def test_questions_about_different_shelves_are_never_mixed() -> None:
    model, shelves = Held(), [slate_samples.shelf(0), slate_samples.shelf(1)]
    questions = slate_samples.slates(5)
    with MicroBatcher(model, rows=8, wait_ms=0) as batcher:
        asked = [batcher.submit(row(questions, 0), shelves[0])]
        assert model.reached.wait(10)
        asked += [batcher.submit(row(questions, one), shelves[one % 2]) for one in range(1, 5)]
        model.gate.set()
        answers = [one.result(10) for one in asked]
    assert model.sizes == [1, 2, 2]
    for one, answer in enumerate(answers):
        torch.testing.assert_close(answer, alone(row(questions, one), shelves[one % 2]), rtol=0, atol=1e-5)


class Refusing(Held):
    """Raises where one of the first candidates is a certain item."""

    refused = -1

    def __call__(self, slates: Slates, shelf: Shelf) -> Tensor:
        scores = super().__call__(slates, shelf)
        if bool((slates.items[:, 0] == self.refused).any()):
            raise ModelError("this one cannot be read")
        return scores


def test_an_error_goes_to_the_caller_it_belongs_to_and_to_nobody_else() -> None:
    model, shelf = Refusing(), slate_samples.shelf()
    questions = slate_samples.slates(4)
    firsts = questions.items[:, 0].tolist()
    model.refused = next(item for item in firsts if firsts.count(item) == 1)
    culprit = firsts.index(model.refused)
    with MicroBatcher(model, rows=8, wait_ms=0) as batcher:
        waiting = batcher.submit(slate_samples.slates(1, seed=99), shelf)
        assert model.reached.wait(10)
        asked = [batcher.submit(row(questions, one), shelf) for one in range(4)]
        model.gate.set()
        waiting.exception(10)
        for one, answer in enumerate(asked):
            if one == culprit:
                with pytest.raises(ModelError, match="cannot be read"):
                    answer.result(10)
            else:
                expected = alone(row(questions, one), shelf)
                torch.testing.assert_close(answer.result(10), expected, rtol=0, atol=1e-5)


def test_a_cancelled_question_is_never_asked() -> None:
    model, shelf = Held(), slate_samples.shelf()
    questions = slate_samples.slates(3)
    with MicroBatcher(model, rows=8, wait_ms=0) as batcher:
        first = batcher.submit(row(questions, 0), shelf)
        assert model.reached.wait(10)
        second, third = batcher.submit(row(questions, 1), shelf), batcher.submit(row(questions, 2), shelf)
        assert second.cancel()
        model.gate.set()
        assert first.result(10).shape == third.result(10).shape
    assert model.sizes == [1, 1]


def test_closing_answers_what_waits_and_then_refuses() -> None:
    model, shelf = Held(), slate_samples.shelf()
    questions = slate_samples.slates(3)
    batcher = MicroBatcher(model, rows=1, wait_ms=10_000)
    asked = [batcher.submit(row(questions, one), shelf) for one in range(3)]
    model.gate.set()
    batcher.close()
    assert all(one.done() and one.result().shape == (1, 6) for one in asked)
    batcher.close()
    with pytest.raises(RuntimeError, match="closed"):
        batcher.submit(row(questions, 0), shelf)
    assert not [one for one in threading.enumerate() if one is batcher._worker]


def test_a_lone_question_need_not_wait_for_the_end_when_the_batch_is_full() -> None:
    shelf, questions = slate_samples.shelf(), slate_samples.slates(4)
    with MicroBatcher(Attending(), rows=2, wait_ms=60_000) as batcher:
        asked = [batcher.submit(row(questions, one), shelf) for one in range(4)]
        assert [one.result(30).shape for one in asked] == [(1, 6)] * 4


@pytest.mark.parametrize(("rows", "wait_ms"), [(0, 1.0), (1, -1.0), (1, float("inf")), (1, float("nan")), (1, 1e300)])
def test_limits_that_mean_nothing_are_refused(rows: int, wait_ms: float) -> None:
    with pytest.raises(ValueError, match="at least"):
        MicroBatcher(Attending(), rows=rows, wait_ms=wait_ms)


def test_an_answer_of_too_few_rows_is_an_error_and_not_the_end_of_the_worker() -> None:
    shelf, questions = slate_samples.shelf(), slate_samples.slates(3)
    with MicroBatcher(lambda slates, shelf: slates.latent[1:], rows=8, wait_ms=0) as batcher:
        for one in range(2):
            assert isinstance(batcher.submit(row(questions, one), shelf).exception(10), RuntimeError)
