"""One epoch of training, as a function of the weights, the optimizer's state, the seed and the epoch's number."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dynmm.backbone.batches import Sequences, epoch_batches, training_batch
from dynmm.backbone.losses import NegativeSampler
from dynmm.backbone.objectives import FullObjective, SampledObjective
from dynmm.backbone.sasrec import SASRec
from dynmm.backbone.settings import BackboneSettings, chosen
from dynmm.errors import TrainingDiverged
from dynmm.randomness import derive_seed

_LAST_RATE = 0.01


class Trainer:
    """A model with its optimizer. Nothing but weights and optimizer state passes from epoch to epoch."""

    def __init__(
        self,
        model: SASRec,
        sequences: Sequences,
        counts: Tensor,
        settings: BackboneSettings,
        seed: int,
        precision: torch.dtype,
    ) -> None:
        """counts: (I,) events of each item. settings: resolved. precision: of the products."""
        self.model, self.settings = model, settings
        self._sequences, self._seed = sequences, seed
        self._device = model.item_table.device
        self._objective = _objective(model, counts, settings, precision)
        self.optimizer = _optimizer(model, settings, self._device)

    def epoch(self, number: int, on_progress: Callable[[float], None] | None = None) -> float:
        """Train one epoch (1 first); returns its mean loss over places. Raises TrainingDiverged."""
        batches = epoch_batches(self._sequences, chosen(self.settings.batch_places), self._seed, number)
        noise = torch.Generator(self._device).manual_seed(derive_seed(self._seed, "dropout", number))
        draws = torch.Generator().manual_seed(derive_seed(self._seed, "negatives", number))
        total, places = 0.0, 0
        for at, rows in enumerate(batches):
            self._set_rate(number - 1 + at / len(batches), 1 / len(batches))
            batch = training_batch(self._sequences, rows)
            loss = float(self._objective.backward(batch, noise, draws))
            if not math.isfinite(loss):
                raise TrainingDiverged(
                    f"the training loss became {loss} in epoch {number}, step {at + 1} of {len(batches)}; "
                    "lower backbone.learning_rate, or raise backbone.temperature"
                )
            self.optimizer.step()
            self._objective.clear()
            here = int(batch.lengths.sum())
            total, places = total + loss * here, places + here
            if on_progress is not None:
                on_progress((at + 1) / len(batches))
        return total / places

    def _set_rate(self, done: float, step: float) -> None:
        """Linear rise, then half a cosine down. done, step: in epochs."""
        settings = self.settings
        rise = min(1.0, (done + step) / settings.warmup_epochs) if settings.warmup_epochs > 0 else 1.0
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, done / chosen(settings.epochs))))
        rate = settings.learning_rate * rise * (fall * (1 - _LAST_RATE) + _LAST_RATE)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def state(self) -> dict[str, Tensor]:
        """Copies of all weights and optimizer tensors by name, on the CPU."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for kind, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{kind}.{name}"] = value
        return {name: value.detach().cpu().clone() for name, value in tensors.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Continue from what `state` gave."""
        prefix = "model."
        self.model.load_state_dict({name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)})
        for name, parameter in self.model.named_parameters():
            for key, value in tensors.items():
                kind, _, owner = key.removeprefix("optimizer.").partition(".")
                if key.startswith("optimizer.") and owner == name:
                    # The step count of a fused optimizer lies with its parameter.
                    self.optimizer.state[parameter][kind] = value.clone().to(parameter.device)


def _objective(
    model: SASRec, counts: Tensor, settings: BackboneSettings, precision: torch.dtype
) -> FullObjective | SampledObjective:
    if settings.loss == "full":
        return FullObjective(model, mask_history=chosen(settings.mask_history), precision=precision)
    sampler = NegativeSampler(counts, settings.negatives, settings.negative_power)
    return SampledObjective(model, sampler, mask_history=chosen(settings.mask_history), precision=precision)


def _optimizer(model: SASRec, settings: BackboneSettings, device: torch.device) -> torch.optim.AdamW:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [one for one in trained if one.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [one for one in trained if one.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.98), fused=device.type in ("cpu", "cuda"))
