"""The loop over epochs by itself: selection, patience, checkpoints, and where it goes on; on a model of two numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dynmm.errors import TrainingDiverged
from dynmm.training.batches import TrainingBatch, training_sequences
from dynmm.training.checkpoints import Checkpoint, Checkpoints
from dynmm.training.fitting import Outcome, Plan, run_epochs
from dynmm.training.reports import EpochReport
from dynmm.training.trainer import Course, Trainer


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope, self.idle = nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.ones(3))


class Towards:
    """Pulls the slope to a random point, which draws and noise decide. `idle` never gets a gradient."""

    def __init__(self, model: Line, breaks_at: int | None = None) -> None:
        self.model, self.breaks_at, self.steps = model, breaks_at, 0

    def backward(self, batch: TrainingBatch, noise: torch.Generator, draws: torch.Generator) -> Tensor:
        self.steps += 1
        goal = 3 + torch.rand(2, 2, generator=draws) + torch.rand(2, 2, generator=noise)
        loss = (self.model.slope - goal).square().mean()
        if self.breaks_at == self.steps:
            loss = loss * float("nan")
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def clear(self) -> None:
        for parameter in self.model.parameters():
            parameter.grad = None


def _trainer(breaks_at: int | None = None) -> Trainer:
    model = Line()
    items = np.arange(60) % 7
    sequences = training_sequences(items, np.arange(0, 61, 6), 50, windows=False)
    return Trainer(
        model,
        Towards(model, breaks_at),
        sequences,
        Course(0.3, 0.5, 8),
        places=10,
        weight_decay=0.1,
        seed=5,
        section="line",
    )


def _values(values: Sequence[float]) -> Callable[[], float]:
    left = iter(values)
    return lambda: next(left)


def _run(
    values: Sequence[float] | None, plan: Plan, checkpoints: Checkpoints | None = None, trainer: Trainer | None = None
) -> Outcome:
    return run_epochs(trainer or _trainer(), plan, None if values is None else _values(values), checkpoints=checkpoints)


def test_the_best_epoch_is_kept_and_patience_ends_it() -> None:
    trainer = _trainer()
    found = _run([0.1, 0.5, 0.5, 0.4, 0.9], Plan(8, 2, 0.0), trainer=trainer)
    assert [one.best_epoch for one in found.history] == [1, 2, 2, 2]
    assert found.best_epoch == 2
    assert not torch.equal(found.weights["slope"], trainer.model.state_dict()["slope"])
    assert torch.equal(found.weights["slope"], _run(None, Plan(2, 9, 0.0)).weights["slope"])


def test_without_validation_the_last_epoch_is_kept() -> None:
    trainer = _trainer()
    found = _run(None, Plan(3, 1, 0.0), trainer=trainer)
    assert [one.best_epoch for one in found.history] == [1, 2, 3]
    assert all(torch.equal(value, found.weights[name]) for name, value in trainer.model.state_dict().items())
    assert [one.validation for one in found.history] == [None] * 3


def test_early_epochs_are_not_asked_and_never_win() -> None:
    found = _run([0.3, 0.2], Plan(4, 9, 0.75), trainer=_trainer())
    assert [one.validation for one in found.history] == [None, None, 0.3, 0.2]
    assert [one.best_epoch for one in found.history] == [1, 2, 3, 3]


def test_the_last_epoch_is_always_asked() -> None:
    assert [one.validation for one in _run([0.3], Plan(3, 9, 1.0)).history] == [None, None, 0.3]


def test_each_epoch_is_reported_once_it_is_done() -> None:
    reports: list[EpochReport] = []
    shares: list[float] = []
    found = run_epochs(_trainer(), Plan(3, 9, 0.0), None, on_epoch=reports.append, on_progress=shares.append)
    assert tuple(reports) == found.history
    assert [(one.epoch, one.epochs) for one in reports] == [(1, 3), (2, 3), (3, 3)]
    assert shares.count(1.0) == 3
    assert found.history[2].loss < found.history[0].loss


def test_broken_off_after_any_epoch_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = _run([0.1, 0.4, 0.2, 0.3, 0.6], Plan(5, 9, 0.0))
    for stop in range(1, 5):
        checkpoints = Checkpoints(tmp_path / str(stop), "line")
        _run([0.1, 0.4, 0.2, 0.3][:stop], Plan(stop, 9, 0.0), checkpoints)
        resumed = _run([0.1, 0.4, 0.2, 0.3, 0.6][stop:], Plan(5, 9, 0.0), checkpoints)
        assert [(one.loss, one.validation, one.best_epoch) for one in resumed.history] == [
            (one.loss, one.validation, one.best_epoch) for one in whole.history
        ]
        assert all(torch.equal(value, resumed.weights[name]) for name, value in whole.weights.items())


def test_a_done_fit_is_read_and_not_run(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "line")
    first = _run([0.4, 0.2], Plan(2, 9, 0.0), checkpoints)
    again = _run([], Plan(2, 9, 0.0), checkpoints)
    assert again.history == first.history
    assert all(torch.equal(value, again.weights[name]) for name, value in first.weights.items())


def test_checkpoints_of_another_fit_are_not_used(tmp_path: Path) -> None:
    checkpoint = Checkpoint(
        {"model.slope": torch.ones(2)}, {"slope": torch.ones(2)}, (EpochReport(1, 3, 0.5, None, 1, 1),)
    )
    Checkpoints(tmp_path, "one").save(checkpoint)
    assert Checkpoints(tmp_path, "other").load() is None
    found = Checkpoints(tmp_path, "one").load()
    assert found is not None
    assert found.history == checkpoint.history
    assert torch.equal(found.best["slope"], torch.ones(2))
    assert json.loads((tmp_path / "progress.json").read_text())["identity"] == "one"


def test_a_loss_that_is_no_number_is_told_with_the_section_to_look_at() -> None:
    with pytest.raises(TrainingDiverged, match=r"line\.learning_rate"):
        _run(None, Plan(3, 9, 0.0), trainer=_trainer(breaks_at=4))


def test_the_rate_rises_then_falls_to_a_hundredth() -> None:
    course = Course(2.0, 0.5, 10)
    rates = [course.rate(done / 10, 0.1) for done in range(100)]
    assert rates[0] == pytest.approx(2.0 * 0.2, rel=0.01)
    assert max(rates) == max(rates[3:8])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert course.rate(10, 0.1) == pytest.approx(0.02)
    assert course.rate(99, 0.1) == pytest.approx(0.02)
    assert Course(2.0, 0, 10).rate(0, 0.1) == pytest.approx(2.0)


def test_tables_decay_and_vectors_do_not() -> None:
    groups = _trainer().optimizer.param_groups
    assert [(group["weight_decay"], [one.dim() for one in group["params"]]) for group in groups] == [
        (0.1, [2]),
        (0.0, [1]),
    ]


def test_what_is_frozen_is_not_in_the_optimizer() -> None:
    model = Line()
    model.slope.requires_grad_(False)
    sequences = training_sequences(np.arange(6), np.asarray([0, 6]), 50, windows=False)
    trainer = Trainer(
        model, Towards(model), sequences, Course(0.1, 0, 1), places=9, weight_decay=0.1, seed=0, section="line"
    )
    assert [len(group["params"]) for group in trainer.optimizer.param_groups] == [1]
