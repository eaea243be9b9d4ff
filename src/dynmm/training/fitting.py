"""The loop over epochs: train, validate, keep the best, and go on where a broken-off fit stopped."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from dynmm.training.checkpoints import Checkpoint, Checkpoints
from dynmm.training.reports import EpochReport

logger = logging.getLogger(__name__)

Tensors = dict[str, torch.Tensor]


class EpochTrainer(Protocol):
    """What the loop runs."""

    def epoch(self, number: int, on_progress: Callable[[float], None] | None = None) -> float:
        """Train one epoch (1 first); returns its mean loss. Raises TrainingDiverged."""
        ...

    def weights(self) -> Tensors:
        """Copies of what is trained, by name, on the CPU."""
        ...

    def state(self) -> Tensors:
        """Copies of the weights and of all else that the next epoch follows from, by name, on the CPU."""
        ...

    def restore(self, tensors: Tensors) -> None:
        """Continue from what `state` gave."""
        ...


@dataclass(frozen=True)
class Plan:
    """How long a fit goes on.

    epochs: at most. patience: epochs without a better validation after which it stops. validate_from: share
    of the epochs before the first validation; early ones never win.
    """

    epochs: int
    patience: int
    validate_from: float


@dataclass(frozen=True, eq=False)
class Outcome:
    """weights: of the best epoch, on the CPU, by name; without validation the last. history: one report an epoch."""

    weights: Tensors
    history: tuple[EpochReport, ...]

    @property
    def best_epoch(self) -> int:
        return self.history[-1].best_epoch


def run_epochs(
    trainer: EpochTrainer,
    plan: Plan,
    validate: Callable[[], float] | None,
    *,
    checkpoints: Checkpoints | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Outcome:
    """Train until the plan is done, from the last whole epoch that the checkpoints hold.

    validate: the metric that selects, higher is better; None trains every epoch and keeps the last. on_epoch:
    called after an epoch is safely on disk. on_progress: share of the running epoch that is done. On a CPU
    with as many threads a resumed fit ends with the same bits as one that was not broken off.
    """
    best: Tensors = {}
    history: tuple[EpochReport, ...] = ()
    if checkpoints is not None and (found := checkpoints.load()) is not None:
        logger.info("resuming after epoch %d from %s", found.history[-1].epoch, checkpoints.folder)
        trainer.restore(found.state)
        best, history = found.best, found.history
    while not _done(history, plan):
        begun, number = time.perf_counter(), len(history) + 1
        loss = trainer.epoch(number, on_progress)
        value = validate() if validate is not None and _is_asked(number, plan) else None
        chosen = _best_epoch(history, number, value)
        if chosen == number:
            best = trainer.weights()
        report = EpochReport(number, plan.epochs, loss, value, time.perf_counter() - begun, chosen)
        history += (report,)
        logger.info("epoch %d of %d: loss %.4f, validation %s", number, plan.epochs, loss, value)
        if checkpoints is not None:
            checkpoints.save(Checkpoint(trainer.state(), best, history))
        if on_epoch is not None:
            on_epoch(report)
    return Outcome(best, history)


def _done(history: tuple[EpochReport, ...], plan: Plan) -> bool:
    if not history:
        return False
    newest = history[-1]
    return newest.epoch >= plan.epochs or newest.epoch - newest.best_epoch >= plan.patience


def _is_asked(number: int, plan: Plan) -> bool:
    return number >= plan.validate_from * plan.epochs or number >= plan.epochs


def _best_epoch(history: tuple[EpochReport, ...], number: int, value: float | None) -> int:
    """The newest epoch as long as nothing was validated, then the one with the highest metric."""
    if value is None or not history:
        return number
    best = history[-1].best_epoch
    before = history[best - 1].validation
    return number if before is None or value > before else best
