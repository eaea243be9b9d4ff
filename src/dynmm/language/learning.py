"""Trains any re-ranker on questions of the cut. B questions, C candidates."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from dynmm.errors import ModelError, TrainingDiverged
from dynmm.language.contracts import Reranker
from dynmm.language.folds import Judged, asked_of
from dynmm.language.gamma import choose_gamma
from dynmm.language.listwise import Several
from dynmm.language.piecewise import in_pieces
from dynmm.language.questions import Questions, drawn
from dynmm.language.slates import Shelf, Slates
from dynmm.memory import ran_out
from dynmm.precision import autocast
from dynmm.randomness import derive_seed
from dynmm.training.checkpoints import Checkpoints
from dynmm.training.fitting import Outcome, Plan, run_epochs
from dynmm.training.reports import EpochReport
from dynmm.training.trainer import Course, copies, optimizer_of, optimizer_state, restore_optimizer

logger = logging.getLogger(__name__)

Tensors = dict[str, Tensor]

#: What a step minimises: the mean loss of some questions.
Objective = Callable[[Questions], Tensor]

#: Longest gradient of a step; longer ones are cut to it.
_LONGEST = 1.0

_WEIGHTS = "model."


@dataclass(frozen=True)
class Lessons:
    """How a re-ranker is trained.

    epochs, batch, learning_rate, weight_decay: see `RerankSettings`. warmup: of the learning rate's rise, in epochs.
    candidates: of a training question, drawn anew in each epoch; None for all. precision: of the products.
    section: of the configuration, and lighter: what takes less memory, both for the advice in errors.
    """

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    warmup: float
    candidates: int | None = None
    precision: torch.dtype = torch.float32
    section: str = "reranking"
    lighter: str = "lower reranking.candidates or reranking.hidden"


class RerankTrainer:
    """A re-ranker with its optimizer; what `run_epochs` runs. Frozen parameters are neither moved nor kept."""

    def __init__(
        self, model: nn.Module, objective: Objective, questions: Questions, lessons: Lessons, seed: int
    ) -> None:
        """objective: reads the model. questions: what trains, on any device."""
        self.model, self._objective, self._questions, self._lessons = model, objective, questions, lessons
        self._seed, self._piece = seed, lessons.batch
        self._course = Course(lessons.learning_rate, lessons.warmup, lessons.epochs)
        self._device = next(one.device for one in model.parameters() if one.requires_grad)
        self.optimizer = optimizer_of(model, lessons.weight_decay)

    def epoch(self, number: int, on_progress: Callable[[float], None] | None = None) -> float:
        """Train one epoch (1 first); returns its mean loss. Raises TrainingDiverged, ModelError out of memory."""
        draws = torch.Generator().manual_seed(derive_seed(self._seed, "rerank order", number))
        batches = torch.split(torch.randperm(len(self._questions), generator=draws), self._lessons.batch)
        total = 0.0
        self.model.train()
        try:
            with torch.random.fork_rng([self._device] if self._device.type == "cuda" else []):
                for at, rows in enumerate(batches):
                    rate = self._course.rate(number - 1 + at / len(batches), 1 / len(batches))
                    total += self._step(self._asked(rows, draws), rate, (number, at)) * len(rows)
                    if on_progress is not None:
                        on_progress((at + 1) / len(batches))
        finally:
            self.model.eval()
        return total / len(self._questions)

    def weights(self) -> Tensors:
        """Copies of what is trained, and of the buffers, by name, on the CPU."""
        frozen = {name for name, one in self.model.named_parameters() if not one.requires_grad}
        return copies({name: one for name, one in self.model.state_dict().items() if name not in frozen})

    def state(self) -> Tensors:
        """Weights and optimizer tensors by name, on the CPU."""
        weights = {f"{_WEIGHTS}{name}": value for name, value in self.weights().items()}
        return weights | optimizer_state(self.model, self.optimizer)

    def restore(self, tensors: Tensors) -> None:
        """Continue from what `state` gave."""
        weights = {name.removeprefix(_WEIGHTS): one for name, one in tensors.items() if name.startswith(_WEIGHTS)}
        put_weights(self.model, weights)
        restore_optimizer(self.model, self.optimizer, tensors)

    def _asked(self, rows: Tensor, draws: torch.Generator) -> Questions:
        some = self._questions.take(rows.to(self._questions.answers.device))
        if self._lessons.candidates is not None:
            some = drawn(some, self._lessons.candidates, draws)
        return some.to(self._device)

    def _step(self, questions: Questions, rate: float, when: tuple[int, int]) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self._backward(questions, when)
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the re-ranker's loss became {loss} in epoch {when[0]}, step {when[1] + 1}; "
                f"lower {self._lessons.section}.learning_rate"
            )
        nn.utils.clip_grad_norm_([one for one in self.model.parameters() if one.requires_grad], _LONGEST)
        self.optimizer.step()
        return loss

    def _backward(self, questions: Questions, when: tuple[int, int]) -> float:
        """Gradients of the mean loss, piece by piece where the memory does not hold the whole batch."""
        while True:
            # Each try drops the same, whatever came before it.
            torch.manual_seed(derive_seed(self._seed, "dropout", *when))
            self.optimizer.zero_grad()
            try:
                return self._pieces(questions)
            except (MemoryError, RuntimeError, ModelError) as error:
                if not ran_out(error):
                    raise
                if self._piece == 1:
                    raise ModelError(
                        f"a re-ranker cannot be trained even with one question at a time: {error}; "
                        f"{self._lessons.lighter}"
                    ) from error
                self._piece = max(1, min(self._piece, len(questions)) // 2)
                logger.warning("%s; going on with %d questions at a time", error, self._piece)

    def _pieces(self, questions: Questions) -> float:
        total = 0.0
        for start in range(0, len(questions), self._piece):
            some = questions.take(slice(start, start + self._piece))
            with autocast(self._device, self._lessons.precision):
                loss = self._objective(some) * (len(some) / len(questions))
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total


def learn(
    model: nn.Module,
    objective: Objective,
    training: Questions,
    held: Sequence[Judged],
    shelf: Shelf,
    lessons: Lessons,
    seed: int,
    *,
    gammas: Sequence[float] = (1.0,),
    checkpoints: Checkpoints | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Outcome:
    """Train a re-ranker in place; it ends with the weights of the best epoch, in evaluation mode.

    objective: reads the model, see `Listwise` and `Faithful`. held: what its parts did not learn from, on which NDCG@10
    under the best of ``gammas`` chooses the epoch; nothing keeps the last. checkpoints: where a broken-off training
    goes on. Raises TrainingDiverged, ModelError out of memory, StorageError.
    """
    trainer = RerankTrainer(model, objective, training, lessons, seed)
    validate = partial(_validated, held, asked_of(held).to("cpu"), shelf, lessons, gammas) if held else None
    plan = Plan(lessons.epochs, patience=lessons.epochs, validate_from=0.0)
    outcome = run_epochs(trainer, plan, validate, checkpoints=checkpoints, on_epoch=on_epoch, on_progress=on_progress)
    put_weights(model, outcome.weights)
    model.eval()
    return outcome


def put_weights(model: nn.Module, weights: Tensors) -> None:
    """Load what `RerankTrainer.weights` gave; frozen parameters stay. Raises RuntimeError where names do not fit."""
    frozen = {name for name, one in model.named_parameters() if not one.requires_grad}
    found = model.load_state_dict(weights, strict=False)
    assert set(found.missing_keys) <= frozen, f"weights of another re-ranker: {found}"
    assert not found.unexpected_keys, f"weights of another re-ranker: {found}"


@torch.no_grad()
def raw_scores(model: Reranker, slates: Slates, shelf: Shelf, batch: int) -> Tensor:
    """(B, C) raw scores on the CPU, ``batch`` questions at a time. The model must be in evaluation mode.

    Raises ModelError as `in_pieces` does.
    """
    parts = in_pieces(lambda rows: model(slates.take(rows), shelf).float().cpu(), len(slates), batch)
    return torch.cat(parts) if parts else torch.zeros(0, slates.items.shape[1])


@torch.no_grad()
def judged_scores(held: Sequence[Judged], shelf: Shelf, batch: int) -> Tensor:
    """(B, C) raw scores of all of their questions, each by what did not learn from it; see `raw_scores`."""
    parts = []
    for one in held:
        device = next(weight.device for weight in one.model.parameters() if weight.requires_grad)
        parts.append(_scored(one.model, one.questions.slates.to(device), shelf, batch))
    return torch.cat(parts)


def _scored(model: nn.Module, slates: Slates, shelf: Shelf, batch: int) -> Tensor:
    if not isinstance(model, Several):
        return raw_scores(model, slates, shelf, batch)
    # Many at once: what only chooses need not be the same to the last bit in any company.
    found = in_pieces(lambda rows: model.each(slates.take(rows), shelf).mean(0).cpu(), len(slates), batch)
    return torch.cat(found) if found else torch.zeros(0, slates.items.shape[1])


def _validated(
    held: Sequence[Judged], asked: Questions, shelf: Shelf, lessons: Lessons, gammas: Sequence[float]
) -> float:
    device = next(one.device for one in held[0].model.parameters() if one.requires_grad)
    for one in held:
        one.model.eval()
    with autocast(device, lessons.precision):
        raw = judged_scores(held, shelf, lessons.batch)
    return max(choose_gamma(raw, asked, gammas).ndcg)
