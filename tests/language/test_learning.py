from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.language.slate_samples import FACTS, WIDTH, shelf, slates
from torch import Tensor, nn

from dynmm.errors import ModelError, TrainingDiverged
from dynmm.language.folds import Judged
from dynmm.language.gamma import ndcg
from dynmm.language.inputs import CandidateFeatures
from dynmm.language.learning import Lessons, RerankTrainer, learn, put_weights, raw_scores
from dynmm.language.listwise import Listwise, answer_chances, answers_loss, tempered
from dynmm.language.mlp import Perceptron
from dynmm.language.questions import Questions, apart, drawn, questions_of
from dynmm.language.table import make
from dynmm.memory import OutOfMemory
from dynmm.training.checkpoints import Checkpoints
from dynmm.training.fitting import Outcome
from dynmm.training.reports import EpochReport

LESSONS = Lessons(epochs=6, batch=16, learning_rate=1e-2, weight_decay=1e-2, warmup=1.0)
ITEMS = shelf()


def _questions(count: int = 160) -> Questions:
    """The answer is the candidate with most of the first fact, which the scores below do not know."""
    asked = slates(count, padding=1)
    best = asked.facts[..., 0].masked_fill(~asked.present, -1).argmax(1, keepdim=True)
    return questions_of(asked, asked.items.gather(1, best)[:, 0], torch.arange(count))


def _model(questions: Questions, dropout: float = 0.1) -> nn.Module:
    features = CandidateFeatures(FACTS)
    features.fit(questions.slates, ITEMS)
    return make("mlp", 0, features, WIDTH, hidden=16, rank=2, dropout=dropout)


def _learned(model: nn.Module, training: Questions, held: Questions, **named: Any) -> Outcome:
    return learn(model, Listwise(model, ITEMS), training, [Judged(model, held)], ITEMS, LESSONS, 0, **named)


def test_what_the_scores_below_leave_open_is_learned() -> None:
    training, held = apart(_questions(), 0.25, 0)
    model = _model(training)
    shares: list[float] = []
    outcome = _learned(model, training, held, gammas=(0.0, 1.0), on_progress=shares.append)
    assert not model.training
    before = ndcg(held.slates.scores, held.answers)
    after = ndcg(held.slates.scores + raw_scores(model, held.slates, ITEMS, 7), held.answers)
    assert after > before + 0.1
    best = outcome.history[outcome.best_epoch - 1].validation
    assert best == max(one.validation or 0.0 for one in outcome.history)
    assert best is not None
    assert best >= after - 1e-6
    assert shares[-1] == 1.0
    assert len(shares) == 6 * 8


def test_questions_may_train_with_few_of_their_candidates() -> None:
    training, held = apart(_questions(), 0.25, 0)
    model = _model(training)
    learn(model, Listwise(model, ITEMS), training, [], ITEMS, replace(LESSONS, candidates=3), 0)
    after = ndcg(held.slates.scores + raw_scores(model, held.slates, ITEMS, 64), held.answers)
    assert after > ndcg(held.slates.scores, held.answers) + 0.1


def test_a_training_broken_off_ends_with_the_same_bits(tmp_path: Path) -> None:
    training, held = apart(_questions(), 0.25, 0)

    def run(folder: Path, stop: int | None = None) -> nn.Module:
        model = _model(training)

        def told(report: EpochReport) -> None:
            if report.epoch == stop:
                raise KeyboardInterrupt

        _learned(model, training, held, checkpoints=Checkpoints(folder, "same"), on_epoch=told)
        return model

    whole = run(tmp_path / "whole")
    torch.manual_seed(99)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", stop=2)
    resumed = run(tmp_path / "broken")
    for name, one in whole.state_dict().items():
        assert torch.equal(one, resumed.state_dict()[name]), name


def test_training_leaves_the_global_random_state_alone() -> None:
    training = _questions(20)
    model = _model(training)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    learn(model, Listwise(model, ITEMS), training, [], ITEMS, replace(LESSONS, epochs=1), 0)
    assert torch.equal(torch.rand(1), expected)


def test_a_loss_that_is_no_number_stops_with_advice() -> None:
    training = _questions(20)
    model = _model(training)
    nn.init.constant_(model.get_parameter("members.0.out.bias"), float("nan"))
    with pytest.raises(TrainingDiverged, match=r"epoch 1, step 1.*reranking\.learning_rate"):
        learn(model, Listwise(model, ITEMS), training, [], ITEMS, LESSONS, 0)


class _Tight:
    """An objective that holds so many questions at most."""

    def __init__(self, inner: Listwise, most: int) -> None:
        self.inner, self.most = inner, most
        self.tried: list[int] = []

    def __call__(self, questions: Questions) -> Tensor:
        self.tried.append(len(questions))
        if len(questions) > self.most:
            raise OutOfMemory("no memory left")
        return self.inner(questions)


def test_a_batch_that_memory_does_not_hold_trains_in_pieces() -> None:
    training = _questions(16)
    model, same = _model(training, dropout=0.0), _model(training, dropout=0.0)
    for made in (model, same):
        nn.init.ones_(made.get_parameter("members.0.out.weight"))
    tight = _Tight(Listwise(model, ITEMS), 5)
    loss = RerankTrainer(model, tight, training, LESSONS, 0).epoch(1)
    assert tight.tried == [16, 8, 4, 4, 4, 4]
    assert loss == pytest.approx(RerankTrainer(same, Listwise(same, ITEMS), training, LESSONS, 0).epoch(1), rel=1e-5)
    for name, one in model.named_parameters():
        whole = same.get_parameter(name).grad
        assert one.grad is not None
        assert whole is not None
        assert torch.allclose(one.grad, whole, atol=1e-5), name


def test_what_memory_never_holds_is_an_error_with_a_way_out() -> None:
    training = _questions(32)
    model = _model(training)
    tight = _Tight(Listwise(model, ITEMS), 0)
    lessons = replace(LESSONS, lighter="take less")
    with pytest.raises(ModelError, match=r"one question at a time: no memory left; take less$"):
        learn(model, tight, training, [], ITEMS, lessons, 0)
    assert tight.tried == [16, 8, 4, 2, 1]


class _Backward(torch.autograd.Function):
    """Gives an error in the backward pass, as torch does where memory runs out there."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, says: str) -> Tensor:
        ctx.says = says
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        if ctx.says:
            raise RuntimeError(ctx.says)
        return gradients[0], None


class _Heavy(_Tight):
    """The same, where what is too much shows in the backward pass, on a processor."""

    says = "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: error code 12"

    def __call__(self, questions: Questions) -> Tensor:
        self.tried.append(len(questions))
        says = self.says if len(questions) > self.most else ""
        loss: Tensor = _Backward.apply(self.inner(questions), says)  # type: ignore[no-untyped-call]
        return loss


def test_memory_that_runs_out_in_the_backward_pass_of_a_processor_is_shared_out() -> None:
    training = _questions(16)
    model = _model(training)
    heavy = _Heavy(Listwise(model, ITEMS), 4)
    RerankTrainer(model, heavy, training, LESSONS, 0).epoch(1)
    assert heavy.tried == [16, 8, 4, 4, 4, 4]


def test_an_error_that_is_not_about_memory_is_not_taken_for_one() -> None:
    training = _questions(16)
    model = _model(training)
    asked: list[int] = []

    def refused(questions: Questions) -> Tensor:
        asked.append(len(questions))
        raise ModelError("the prompt is longer than the 40 positions of the model")

    with pytest.raises(ModelError, match=r"^the prompt is longer"):
        RerankTrainer(model, refused, training, LESSONS, 0).epoch(1)
    heavy = _Heavy(Listwise(model, ITEMS), 0)
    heavy.says = "shapes do not fit"
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        RerankTrainer(model, heavy, training, LESSONS, 0).epoch(1)
    assert (asked, heavy.tried) == ([16], [16])


def test_what_is_frozen_is_neither_moved_nor_kept() -> None:
    training = _questions(40)
    model = _model(training)
    frozen = model.get_parameter("members.0.projections.user.weight").requires_grad_(False)
    before = frozen.clone()
    trainer = RerankTrainer(model, Listwise(model, ITEMS), training, LESSONS, 0)
    trainer.epoch(1)
    assert torch.equal(frozen, before)
    kept = trainer.weights()
    assert "members.0.projections.user.weight" not in kept
    assert {"features.mean", "members.0.out.weight"} <= kept.keys()
    other = _model(training)
    other.get_parameter("members.0.projections.user.weight").requires_grad_(False)
    put_weights(other, kept)
    assert torch.equal(other.get_parameter("members.0.out.weight"), model.get_parameter("members.0.out.weight"))


def test_a_candidate_that_stands_for_several_counts_so_often() -> None:
    asked = slates(2, 3)
    questions = Questions(
        asked, torch.tensor([0, 2]), torch.arange(2), torch.tensor([[1.0, 4.0, 1.0], [1.0, 1.0, 1.0]])
    )
    raw = torch.randn(2, 3)
    logits = asked.scores + raw
    expected = logits[0, 0] - torch.logsumexp(torch.cat([logits[0], logits[0, 1].expand(3)]), 0)
    assert torch.allclose(answer_chances(raw, questions)[0], expected, atol=1e-6)
    assert torch.allclose(answer_chances(raw, questions)[1], torch.log_softmax(logits[1], 0)[2], atol=1e-6)


def test_each_member_is_trained_by_its_own_loss() -> None:
    training = _questions(20)
    model = _model(training, dropout=0.0)
    assert isinstance(model, Perceptron)
    for name, one in model.named_parameters():
        if name.endswith("out.weight"):
            nn.init.ones_(one)
    Listwise(model, ITEMS)(training).backward()  # type: ignore[no-untyped-call]
    for place in range(3):
        alone = answers_loss(model.each(training.slates, ITEMS)[place], training)
        weight = model.get_parameter(f"members.{place}.layers.0.weight")
        (expected,) = torch.autograd.grad(alone, weight)
        assert weight.grad is not None
        assert torch.allclose(weight.grad, expected / 5, atol=1e-6)


def test_scores_that_are_too_sure_of_themselves_are_met_under_a_factor() -> None:
    draws = torch.Generator().manual_seed(0)
    asked = slates(400)
    sure = replace(asked, scores=torch.randn(asked.scores.shape, generator=draws))
    answers = torch.multinomial(sure.scores.softmax(1), 1, generator=draws)[:, 0]
    calm = Questions(sure, answers, torch.arange(400), torch.ones(sure.scores.shape))
    loud = replace(calm, slates=replace(sure, scores=10 * sure.scores))
    assert tempered(calm).factor == 1.0
    met = tempered(loud)
    assert met.factor in (0.08, 0.12)
    raw = torch.randn(sure.scores.shape, generator=draws)
    assert torch.allclose(
        answer_chances(raw, met), answer_chances(raw, replace(calm, factor=10 * met.factor)), atol=1e-5
    )
    assert met.take(slice(0, 3)).factor == met.to("cpu").factor == drawn(met, 2, draws).factor == met.factor
