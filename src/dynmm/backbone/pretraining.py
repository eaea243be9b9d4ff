"""Fits the backbone: epochs, selection by validation, checkpoints from which a broken-off fit goes on."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from dynmm.backbone.batches import training_sequences
from dynmm.backbone.checkpoints import Checkpoint, Checkpoints
from dynmm.backbone.reports import EpochReport
from dynmm.backbone.sasrec import SASRec
from dynmm.backbone.selection import Selection
from dynmm.backbone.settings import BackboneSettings, DataShape, chosen, resolve
from dynmm.backbone.start import fit_start
from dynmm.backbone.steady_heap import steady_heap
from dynmm.backbone.trainer import Trainer
from dynmm.errors import UnsupportedByData
from dynmm.interactions.dataset import Dataset
from dynmm.randomness import derive_seed
from dynmm.stages import data_fingerprint

logger = logging.getLogger(__name__)

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
    settings = resolve(settings, DataShape.of(dataset))
    fit = _Fit(dataset, settings, seed, torch.device(device), epochs)
    checkpoints = None if checkpoint_dir is None else Checkpoints(checkpoint_dir, fit.identity)
    if checkpoints is not None and (found := checkpoints.load()) is not None:
        logger.info("resuming after epoch %d from %s", found.history[-1].epoch, checkpoint_dir)
        fit.restore(found)
    with steady_heap(settings.steady_heap):
        while not fit.done:
            report = fit.advance(on_progress)
            logger.info("epoch %d of %d: loss %.4f, validation %s", report.epoch, report.epochs, report.loss, report)
            if checkpoints is not None:
                checkpoints.save(fit.checkpoint())
            if on_epoch is not None:
                on_epoch(report)
    return fit.finish()


class _Fit:
    """The state of one fit between epochs."""

    def __init__(
        self, dataset: Dataset, settings: BackboneSettings, seed: int, device: torch.device, epochs: int | None
    ) -> None:
        positions = chosen(settings.positions)
        sequences = training_sequences(dataset.events.items, dataset.offsets, positions, windows=settings.windows)
        if not len(sequences):
            raise UnsupportedByData(
                "no user has two events, so nothing ever follows anything and a sequence model has nothing to learn; "
                "check the column of user ids, or use popularity"
            )
        self._settings, self._fixed = settings, epochs is not None
        self._epochs = epochs if epochs is not None else chosen(settings.epochs)
        self._precision = training_precision(settings, device)
        self._counts = torch.from_numpy(dataset.item_counts())
        weights = torch.Generator().manual_seed(derive_seed(seed, "weights"))
        model = build_model(settings, dataset.n_items, weights).to(device)
        self._trainer = Trainer(model, sequences, self._counts, settings, seed, self._precision)
        self._selection = None
        if dataset.validation is not None and not self._fixed:
            selection = Selection(dataset.validation, settings.validation_users, seed)
            self._selection = selection if len(selection) else None
        self._best: Tensors = {}
        self._history: tuple[EpochReport, ...] = ()
        inputs = [settings.model_dump(mode="json"), seed, epochs, CODE_VERSION, str(self._precision), str(device)]
        self.identity = hashlib.sha256(json.dumps([data_fingerprint(dataset), *inputs]).encode()).hexdigest()

    @property
    def done(self) -> bool:
        if not self._history:
            return False
        newest = self._history[-1]
        tired = newest.epoch - newest.best_epoch >= chosen(self._settings.patience)
        return newest.epoch >= self._epochs or tired

    def advance(self, on_progress: Callable[[float], None] | None) -> EpochReport:
        """Train and validate one epoch."""
        begun, number = time.perf_counter(), len(self._history) + 1
        loss = self._trainer.epoch(number, on_progress)
        model = self._trainer.model
        found = self._validate(number)
        best_epoch = self._best_epoch(number, found)
        if best_epoch == number:
            self._best = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
        seconds = time.perf_counter() - begun
        self._history += (EpochReport(number, self._epochs, loss, found, seconds, best_epoch),)
        return self._history[-1]

    def _validate(self, number: int) -> float | None:
        early = number < self._settings.validate_from * self._epochs
        if self._selection is None or (early and number < self._epochs):
            return None
        return self._selection.ndcg(self._trainer.model, self._precision)

    def _best_epoch(self, number: int, found: float | None) -> int:
        """The newest epoch as long as nothing was validated, then the one with the highest metric."""
        if found is None or not self._history:
            return number
        best = self._history[-1].best_epoch
        before = self._history[best - 1].validation
        return number if before is None or found > before else best

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self._trainer.state(), self._best, self._history)

    def restore(self, checkpoint: Checkpoint) -> None:
        self._trainer.restore(checkpoint.state)
        self._best, self._history = checkpoint.best, checkpoint.history

    def finish(self) -> Pretrained:
        """The weights of the best epoch, with the start vector fitted to them."""
        model = self._trainer.model
        model.load_state_dict(self._best)
        fit_start(model, self._counts.to(model.item_table.device))
        weights = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
        return Pretrained(self._settings, len(self._counts), weights, self._history[-1].best_epoch, self._history)


def build_model(settings: BackboneSettings, n_items: int, weights: torch.Generator | None = None) -> SASRec:
    """The network of resolved settings. weights: draws the first ones."""
    return SASRec(
        n_items,
        width=settings.width,
        blocks=settings.blocks,
        heads=settings.heads,
        positions=chosen(settings.positions),
        inner=settings.inner,
        input_dropout=chosen(settings.input_dropout),
        block_dropout=chosen(settings.block_dropout),
        temperature=settings.temperature,
        item_scale=settings.item_scale,
        fading=settings.order == "fading",
        init=weights,
    )


def training_precision(settings: BackboneSettings, device: torch.device) -> torch.dtype:
    """bfloat16 where it is wanted, or where the device multiplies in it; else float32."""
    if settings.precision != "auto":
        return torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return torch.bfloat16 if able else torch.float32
