from __future__ import annotations

import pytest
import torch
from tests.language.slate_samples import shelf, slates
from torch import Tensor, nn

from dynmm.language.faithful import Faithful, Faithfulness, blind, faithfulness, pooled, swapped
from dynmm.language.listwise import answer_chances, answers_loss
from dynmm.language.questions import Questions, questions_of
from dynmm.language.slates import Shelf, Slates

ITEMS = shelf()


class _ByFact(nn.Module):
    """Scores by the first fact alone, weighed."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.base = nn.Parameter(torch.zeros(6))

    def forward(self, asked: Slates, items: Shelf) -> Tensor:
        return self.weight * asked.facts[..., 0] + self.base


def _questions(count: int = 30) -> Questions:
    asked = slates(count)
    best = asked.facts[..., 0].argmax(1, keepdim=True)
    return questions_of(asked, asked.items.gather(1, best)[:, 0], torch.arange(count))


def test_blind_slates_hold_no_fact() -> None:
    asked = slates(4, padding=2)
    none = blind(asked)
    assert (none.facts == 0).all()
    assert torch.equal(none.scores[asked.present], asked.latent[asked.present])
    assert torch.isneginf(none.scores[~asked.present]).all()
    assert torch.equal(none.items, asked.items)


def test_swapped_slates_hold_the_facts_of_another_question() -> None:
    asked = slates(4, padding=2)
    other = swapped(asked)
    assert torch.equal(other.facts[1], asked.facts[0])
    assert torch.equal(other.facts[0, :4], asked.facts[3, :4])
    added = other.scores - other.latent
    assert torch.allclose(added[2, :4], (asked.scores - asked.latent)[1, :4], atol=1e-6)
    assert torch.isneginf(other.scores[~asked.present]).all()


def test_the_loss_is_the_formula() -> None:
    questions, model = _questions(), _ByFact(2.0)
    told = answer_chances(model(questions.slates, ITEMS), questions)
    none = answer_chances(model(blind(questions.slates), ITEMS), questions)
    hinge = torch.clamp(1.5 - (told - none), min=0).mean()
    assert float(hinge.detach()) > 0
    expected = -told.mean() + 0.3 * (hinge - none.mean())
    loss = Faithful(model, ITEMS, weight=0.3, margin=1.5)(questions)
    assert torch.allclose(loss, expected)
    plain = Faithful(model, ITEMS, weight=0.0, margin=1.5)(questions)
    assert torch.allclose(plain, answers_loss(model(questions.slates, ITEMS), questions))


def test_the_margin_is_not_won_by_ruining_what_is_scored_without_facts() -> None:
    """Where the margin is short, the gradient on what both branches share is that of the answers alone."""
    questions, model = _questions(), _ByFact(0.0)
    Faithful(model, ITEMS, weight=1.0, margin=1e3)(questions).backward()  # type: ignore[no-untyped-call]
    found = model.base.grad
    assert found is not None
    told = answers_loss(model(questions.slates, ITEMS), questions)
    none = answers_loss(model(blind(questions.slates), ITEMS), questions)
    # The hinge adds minus the log-probability with facts; the branch without them enters as a loss, never as a gain.
    (expected,) = torch.autograd.grad(2 * told + none, model.base)
    assert torch.allclose(found, expected, atol=1e-5)
    assert model.weight.grad is not None
    assert float(model.weight.grad) < 0


def test_own_facts_lift_the_answer_and_anothers_do_not() -> None:
    report = faithfulness(_ByFact(8.0), _questions(), ITEMS, 0.05, 8)
    assert report.own > 0.5
    assert report.others is not None
    assert report.others < 0.1
    assert report.lifted > 0.8
    assert report.questions == 30
    deaf = faithfulness(_ByFact(0.0), _questions(), ITEMS, 0.05, 8)
    assert deaf.own == pytest.approx(0.0, abs=1e-6)
    assert deaf.lifted == 0.0


@pytest.mark.parametrize("batch", [1, 7, 29, 64])
def test_the_control_is_another_question_whatever_is_read_at_once(batch: int) -> None:
    """A last batch of one question was its own control."""
    report, expected = (faithfulness(_ByFact(8.0), _questions(), ITEMS, 0.05, one) for one in (batch, 30))
    assert report.others is not None
    assert report.others == pytest.approx(expected.others, abs=1e-5)
    assert (report.own, report.lifted) == pytest.approx((expected.own, expected.lifted), abs=1e-5)


def test_one_question_has_no_control() -> None:
    report = faithfulness(_ByFact(8.0), _questions().take(slice(0, 1)), ITEMS, 0.05, 8)
    assert report.others is None
    assert report.questions == 1


def test_without_questions_nothing_is_claimed() -> None:
    report = faithfulness(_ByFact(1.0), _questions().take(slice(0, 0)), ITEMS, 0.05, 8)
    assert (report.own, report.others, report.lifted, report.questions) == (0.0, None, 0.0, 0)


def test_lots_of_questions_are_pooled_by_how_many_they_are() -> None:
    few, many = Faithfulness(0.4, None, 1.0, 0.05, 1), Faithfulness(0.1, 0.02, 0.5, 0.05, 3)
    found = pooled([few, many])
    assert (found.own, found.lifted) == pytest.approx((0.175, 0.625))
    assert (found.others, found.margin, found.questions) == (0.02, 0.05, 4)
    assert pooled([few]) == few
