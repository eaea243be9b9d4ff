"""Fits the backbone: epochs, selection by validation, checkpoints from which a broken-off fit goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from dynmm.backbone.inference import user_vectors
from dynmm.backbone.objectives import FullObjective, SampledObjective
from dynmm.backbone.sasrec import SASRec
from dynmm.backbone.settings import BackboneSettings, DataShape, chosen, resolve
from dynmm.errors import UnsupportedByData
from dynmm.interactions.dataset import Dataset
from dynmm.precision import autocast, product_precision
from dynmm.randomness import derive_seed
from dynmm.stages import data_fingerprint
from dynmm.training.batches import Sequences, training_sequences
from dynmm.training.checkpoints import Checkpoints
from dynmm.training.fitting import Plan, run_epochs
from dynmm.training.reports import EpochReport
from dynmm.training.selection import Selection
from dynmm.training.softmax import NegativeSampler
from dynmm.training.start import start_vector
from dynmm.training.steady_heap import steady_heap
from dynmm.training.trainer import Course, Trainer

#: Raised whenever a change to this package changes the weights that the same inputs give.
CODE_VERSION = 1

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A fitted backbone.

    settings: resolved. weights: of the best epoch, float32 on the CPU, by parameter name. best_epoch: where
    they come from; without validation the last. history: one report per epoch.
    """

    settings: BackboneSettings
    n_items: int
    weights: Tensors
    best_epoch: int
    history: tuple[EpochReport, ...]


def pretrain(
    dataset: Dataset,
    settings: BackboneSettings,
    seed: int,
    *,
    device: str | torch.device = "cpu",
    epochs: int | None = None,
    checkpoint_dir: Path | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Pretrained:
    """Fit on `dataset.events`; `dataset.validation`, where given, selects the epoch.

    epochs: train exactly so many epochs and select nothing, on the learning-rate course of
    `settings.epochs`: the refit with a selected step count. checkpoint_dir: a fit that was broken off, by
    Ctrl-C or kill -9, goes on from its last whole epoch when called again with the same arguments, and on a
    CPU with as many threads ends with the same bits as one that was not. on_epoch: called after an epoch is
    safely on disk. on_progress: share of the running epoch that is done, after every step.

    Raises UnsupportedByData where no user has two events, TrainingDiverged, StorageError.
    """
    settings, on = resolve(settings, DataShape.of(dataset)), torch.device(device)
    precision = product_precision(settings.precision, on)
    counts = torch.from_numpy(dataset.item_counts())
    weights = torch.Generator().manual_seed(derive_seed(seed, "weights"))
    model = build_model(settings, dataset.n_items, weights).to(on)
    trainer = backbone_trainer(model, backbone_sequences(dataset, settings), counts, settings, seed, precision)
    validate = None if epochs is not None else _validation(model, dataset, settings, seed, precision)
    checkpoints = None
    if checkpoint_dir is not None:
        inputs = [settings.model_dump(mode="json"), seed, epochs, CODE_VERSION, str(precision), str(on)]
        identity = hashlib.sha256(json.dumps([data_fingerprint(dataset), *inputs]).encode()).hexdigest()
        checkpoints = Checkpoints(checkpoint_dir, identity)
    plan = Plan(
        chosen(settings.epochs) if epochs is None else epochs, chosen(settings.patience), settings.validate_from
    )
    with steady_heap(settings.steady_heap):
        outcome = run_epochs(
            trainer, plan, validate, checkpoints=checkpoints, on_epoch=on_epoch, on_progress=on_progress
        )
    model.load_state_dict(outcome.weights)
    set_start(model, counts)
    found = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    return Pretrained(settings, dataset.n_items, found, outcome.best_epoch, outcome.history)


def backbone_sequences(dataset: Dataset, settings: BackboneSettings) -> Sequences:
    """The stretches of the histories that train. Raises UnsupportedByData where no user has two events."""
    positions = chosen(settings.positions)
    sequences = training_sequences(dataset.events.items, dataset.offsets, positions, windows=settings.windows)
    if not len(sequences):
        raise UnsupportedByData(
            "no user has two events, so nothing ever follows anything and a sequence model has nothing to learn; "
            "check the column of user ids, or use popularity"
        )
    return sequences


def backbone_trainer(
    model: SASRec,
    sequences: Sequences,
    counts: torch.Tensor,
    settings: BackboneSettings,
    seed: int,
    precision: torch.dtype,
) -> Trainer:
    """counts: (I,) events of each item. settings: resolved. precision: of the products."""
    masked = chosen(settings.mask_history)
    objective: FullObjective | SampledObjective
    if settings.loss == "full":
        objective = FullObjective(model, mask_history=masked, precision=precision)
    else:
        sampler = NegativeSampler(counts, settings.negatives, settings.negative_power)
        objective = SampledObjective(model, sampler, mask_history=masked, precision=precision)
    return Trainer(
        model,
        objective,
        sequences,
        Course(settings.learning_rate, settings.warmup_epochs, chosen(settings.epochs)),
        places=chosen(settings.batch_places),
        weight_decay=chosen(settings.weight_decay),
        seed=seed,
        section="backbone",
    )


def _validation(
    model: SASRec, dataset: Dataset, settings: BackboneSettings, seed: int, precision: torch.dtype
) -> Callable[[], float] | None:
    if dataset.validation is None:
        return None
    selection = Selection(dataset.validation, settings.validation_users, seed)
    if not len(selection):
        return None

    def ndcg() -> float:
        """Precision is of the transformer; scores are float32."""
        with autocast(model.item_table.device, precision):
            users = user_vectors(model, selection.histories)
        with torch.no_grad():
            return selection.ndcg(users, model.items())

    return ndcg


@torch.no_grad()
def set_start(model: SASRec, counts: torch.Tensor) -> None:
    """Give a user without a history the vector that ranks most nearly by popularity. counts: (I,) events of each."""
    items = model.items()
    with torch.enable_grad():
        model.start.copy_(start_vector(items, counts.to(items.device)))


def build_model(settings: BackboneSettings, n_items: int, weights: torch.Generator | None = None) -> SASRec:
    """The network of resolved settings. weights: draws the first ones."""
    return SASRec(
        n_items,
        width=settings.width,
        blocks=chosen(settings.blocks),
        heads=settings.heads,
        positions=chosen(settings.positions),
        inner=settings.inner,
        input_dropout=chosen(settings.input_dropout),
        block_dropout=chosen(settings.block_dropout),
        temperature=chosen(settings.temperature),
        item_scale=settings.item_scale,
        fading=settings.order == "fading",
        init=weights,
    )
