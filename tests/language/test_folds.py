from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.language.slate_samples import FACTS, WIDTH, shelf, slates
from torch import Tensor

from dynmm.language.folds import Folds, asked_of
from dynmm.language.inputs import CandidateFeatures
from dynmm.language.learning import judged_scores, raw_scores
from dynmm.language.listwise import Listwise
from dynmm.language.mlp import Perceptron
from dynmm.language.questions import Questions, questions_of
from dynmm.language.table import make

ITEMS = shelf()


def _questions(count: int = 60, people: int = 30) -> Questions:
    asked = slates(count, padding=1)
    return questions_of(asked, asked.items[:, 2], torch.arange(count) % people)


def _model(members: int) -> Perceptron:
    made: Any = make("mlp", 0, CandidateFeatures(FACTS), WIDTH, hidden=8, rank=2, dropout=0.0, members=members)
    for one in made.members:
        torch.nn.init.normal_(one.out.weight)
    made.eval()
    assert isinstance(made, Perceptron)
    return made


def _gradients(model: Perceptron, member: int) -> list[Tensor]:
    return [one.grad.clone() for one in model.members[member].parameters() if one.grad is not None]


def test_groups_are_of_people_as_large_as_asked_and_the_same_again() -> None:
    questions = _questions()
    folds = Folds.of(questions, 0.2, 3)
    groups = folds.of_each(questions)
    assert folds.count == 5
    assert torch.bincount(groups).tolist() == [12] * 5
    assert torch.equal(groups[:30], groups[30:]), "both questions of one person"
    assert torch.equal(groups, Folds.of(questions, 0.2, 3).of_each(questions))
    assert not torch.equal(groups, Folds.of(questions, 0.2, 4).of_each(questions))


def test_a_member_learns_nothing_from_its_own_group() -> None:
    questions, model = _questions(), _model(3)
    folds = Folds.of(questions, 0.2, 0)
    groups = folds.of_each(questions)
    for member in range(3):
        model.zero_grad()
        Listwise(model, ITEMS, folds)(questions.take(groups == member)).backward()  # type: ignore[no-untyped-call]
        assert all((one == 0).all() for one in _gradients(model, member)), member
        assert all((one != 0).any() for one in _gradients(model, (member + 1) % 3)[-2:-1])


def test_each_question_that_chooses_is_scored_by_who_did_not_learn_from_it() -> None:
    questions, model = _questions(), _model(7)
    folds = Folds.of(questions, 0.2, 0)
    judged = folds.judged(model, questions)
    asked, raw = asked_of(judged), judged_scores(judged, ITEMS, 16)
    assert len(asked) == 60, "with as many members as groups all choose"
    assert sorted(asked.people.tolist()) == sorted(questions.people.tolist())
    alone = model.each(questions.slates, ITEMS)
    groups = folds.of_each(questions)
    at = 0
    for group in range(5):
        rows = groups == group
        own = alone[[group, group + 5] if group < 2 else [group]][:, rows].mean(0)
        torch.testing.assert_close(raw[at : at + int(rows.sum())], own, atol=1e-5, rtol=1e-5)
        at += int(rows.sum())


@pytest.mark.parametrize(("members", "choosing"), [(1, 12), (3, 36), (5, 60)])
def test_with_fewer_members_fewer_choose(members: int, choosing: int) -> None:
    questions = _questions()
    judged = Folds.of(questions, 0.2, 0).judged(_model(members), questions)
    assert len(asked_of(judged)) == choosing


def test_some_members_share_their_weights_with_the_whole() -> None:
    questions, model = _questions(), _model(3)
    one = model.only([1])
    before = raw_scores(one, questions.slates, ITEMS, 60)
    model.get_parameter("members.1.out.bias").data += 1.0
    torch.testing.assert_close(raw_scores(one, questions.slates, ITEMS, 60), before + 1.0)
    assert len(model.members) == 3
