"""One epoch of training, as a function of the weights, the optimizer's state, the seed and the epoch's number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from dynmm.errors import TrainingDiverged
from dynmm.randomness import derive_seed
from dynmm.training.batches import Sequences, TrainingBatch, epoch_batches, training_batch

_LAST_RATE = 0.01

#: Stands before the names of weights in a state.
_WEIGHTS = "model."


class Objective(Protocol):
    """What a training step minimises. It leaves the gradients of a batch's mean loss in the model's parameters."""

    def backward(self, batch: TrainingBatch, noise: torch.Generator, draws: torch.Generator) -> Tensor:
        """Set all gradients of one batch; returns its mean loss over real places. draws: a CPU generator."""
        ...

    def clear(self) -> None:
        """Forget the gradients, after the optimizer's step."""
        ...


@dataclass(frozen=True)
class Course:
    """The learning rate: a linear rise, then half a cosine down to a hundredth.

    peak: of the rate. warmup: of the rise, epochs: of the whole, both in epochs.
    """

    peak: float
    warmup: float
    epochs: int

    def rate(self, done: float, step: float) -> float:
        """done: epochs so far. step: length of one step, in epochs."""
        rise = min(1.0, (done + step) / self.warmup) if self.warmup > 0 else 1.0
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, done / self.epochs)))
        return self.peak * rise * (fall * (1 - _LAST_RATE) + _LAST_RATE)


class Trainer:
    """A model with its optimizer. Nothing but weights and optimizer state passes from epoch to epoch."""

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        sequences: Sequences,
        course: Course,
        *,
        places: int,
        weight_decay: float,
        seed: int,
        section: str,
    ) -> None:
        """places: of a batch, padding included. section: of the configuration, for the advice in errors."""
        self.model, self.course = model, course
        self._objective, self._sequences, self._places, self._seed = objective, sequences, places, seed
        self._section = section
        self.optimizer = optimizer_of(model, weight_decay)

    def epoch(self, number: int, on_progress: Callable[[float], None] | None = None) -> float:
        """Train one epoch (1 first); returns its mean loss over places. Raises TrainingDiverged."""
        batches = epoch_batches(self._sequences, self._places, self._seed, number)
        device = next(self.model.parameters()).device
        noise = torch.Generator(device).manual_seed(derive_seed(self._seed, "dropout", number))
        draws = torch.Generator().manual_seed(derive_seed(self._seed, "negatives", number))
        total, places = 0.0, 0
        for at, rows in enumerate(batches):
            rate = self.course.rate(number - 1 + at / len(batches), 1 / len(batches))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            batch = training_batch(self._sequences, rows)
            loss = float(self._objective.backward(batch, noise, draws))
            if not math.isfinite(loss):
                raise TrainingDiverged(
                    f"the training loss became {loss} in epoch {number}, step {at + 1} of {len(batches)}; "
                    f"lower {self._section}.learning_rate, or raise {self._section}.temperature"
                )
            self.optimizer.step()
            self._objective.clear()
            here = int(batch.lengths.sum())
            total, places = total + loss * here, places + here
            if on_progress is not None:
                on_progress((at + 1) / len(batches))
        return total / places

    def weights(self) -> dict[str, Tensor]:
        """Copies of all weights by name, on the CPU."""
        return copies(self.model.state_dict())

    def state(self) -> dict[str, Tensor]:
        """Copies of all weights and optimizer tensors by name, on the CPU."""
        weights = {f"{_WEIGHTS}{name}": value for name, value in self.weights().items()}
        return weights | optimizer_state(self.model, self.optimizer)

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Continue from what `state` gave."""
        weights = {name.removeprefix(_WEIGHTS): t for name, t in tensors.items() if name.startswith(_WEIGHTS)}
        self.model.load_state_dict(weights)
        restore_optimizer(self.model, self.optimizer, tensors)


def copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same on the CPU, apart from the originals."""
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}


def optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Copies of the optimizer's tensors on the CPU, each named for its kind and its parameter."""
    return {
        f"optimizer.{kind}.{name}": value.detach().cpu().clone()
        for name, parameter in model.named_parameters()
        for kind, value in optimizer.state.get(parameter, {}).items()
    }


def restore_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Continue from what `optimizer_state` gave; other tensors are passed over."""
    for name, parameter in model.named_parameters():
        for key, value in tensors.items():
            kind, _, owner = key.removeprefix("optimizer.").partition(".")
            if key.startswith("optimizer.") and owner == name:
                # The step count of a fused optimizer lies with its parameter.
                optimizer.state[parameter][kind] = value.clone().to(parameter.device)


def optimizer_of(model: nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """AdamW over what is trained; biases and gains do not decay."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [one for one in trained if one.dim() > 1], "weight_decay": weight_decay},
        {"params": [one for one in trained if one.dim() < 2], "weight_decay": 0.0},
    ]
    fused = trained[0].device.type in ("cpu", "cuda")
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=1e-3, betas=(0.9, 0.98), fused=fused)
