"""What a training step minimises: a softmax over the whole catalogue, or over sampled negatives.

Each is an `Objective` of `training.trainer`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import embedding

from dynmm.backbone.sasrec import SASRec
from dynmm.precision import autocast
from dynmm.training.batches import TrainingBatch, history_pairs
from dynmm.training.softmax import (
    MaskedPairs,
    NegativeSampler,
    accidental_hits,
    full_softmax,
    sampled_softmax,
    unit_rows,
)


class FullObjective:
    """Cross-entropy over all items."""

    def __init__(self, model: SASRec, *, mask_history: bool, precision: torch.dtype) -> None:
        self._model, self._mask_history, self._precision = model, mask_history, precision

    def backward(self, batch: TrainingBatch, noise: torch.Generator, draws: torch.Generator) -> Tensor:
        model, device = self._model, self._model.item_table.device
        masked = history_pairs(batch).to(device) if self._mask_history else None
        with autocast(device, self._precision):
            hidden = model(batch.items.to(device), batch.lengths.to(device), noise)
        users = model.users(hidden[batch.real.to(device)])
        targets = batch.targets[batch.real].to(device)
        loss = full_softmax(users, model.items(), targets, masked, precision=self._precision)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def clear(self) -> None:
        for parameter in self._model.parameters():
            parameter.grad = None


class SampledObjective:
    """Cross-entropy over each place's own target and negatives that the whole batch shares.

    Only the rows of the item table that a batch touches take part in it: they are taken out, trained on as a
    small table, and their gradient is written into a lasting one that is zero elsewhere. Dense gradients of
    a large table would cost more than the rest of the step.
    """

    def __init__(self, model: SASRec, sampler: NegativeSampler, *, mask_history: bool, precision: torch.dtype) -> None:
        self._model, self._sampler = model, sampler
        self._mask_history, self._precision = mask_history, precision
        self._gradient = torch.zeros_like(model.item_table)
        self._touched = torch.empty(0, dtype=torch.int64, device=model.item_table.device)

    def backward(self, batch: TrainingBatch, noise: torch.Generator, draws: torch.Generator) -> Tensor:
        model, device = self._model, self._model.item_table.device
        negatives = self._sampler.draw(draws)
        targets = batch.targets[batch.real]
        masked = history_pairs(batch) if self._mask_history else None
        hits = self._hits(negatives.items, targets, masked, device)
        parts = [batch.items.flatten(), targets, negatives.items]
        rows, places = torch.unique(torch.cat(parts), return_inverse=True)
        inputs, own, others = places.to(device).split([len(part) for part in parts])
        rows = rows.to(device)
        table = embedding(rows, model.item_table.detach()).requires_grad_()
        with autocast(device, self._precision):
            hidden = model(inputs.view(batch.items.shape), batch.lengths.to(device), noise, table)
            users, unit = model.users(hidden[batch.real.to(device)]), unit_rows(table)
            inclusion = negatives.log_inclusion.to(device)
            loss = sampled_softmax(users, embedding(own, unit), embedding(others, unit), inclusion, hits)
        loss.backward()  # type: ignore[no-untyped-call]
        assert table.grad is not None
        self._touched, model.item_table.grad = rows, self._gradient.index_copy_(0, rows, table.grad)
        return loss.detach()

    def _hits(
        self, negatives: Tensor, targets: Tensor, masked: MaskedPairs | None, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        rows, columns = accidental_hits(negatives, len(self._model.item_table), targets, masked)
        return rows.to(device), columns.to(device)

    def clear(self) -> None:
        for parameter in self._model.parameters():
            parameter.grad = None
        self._gradient.index_fill_(0, self._touched, 0)
