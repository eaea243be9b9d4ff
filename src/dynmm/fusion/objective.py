"""What the joint stage minimises: L_rank + l_mm L_mm + l_r L_recon.

B users, L history length, T real places, R items taking part in a step, M modalities with cf.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding

from dynmm.fusion.content import Content
from dynmm.fusion.latents import Latents
from dynmm.fusion.losses import alignment, reconstruction
from dynmm.fusion.model import JointModel
from dynmm.precision import autocast
from dynmm.training.batches import TrainingBatch, history_pairs
from dynmm.training.softmax import (
    MaskedPairs,
    Negatives,
    NegativeSampler,
    accidental_hits,
    full_softmax,
    sampled_softmax,
    unit_rows,
)


@dataclass(frozen=True)
class Losses:
    """Weights of the losses beside L_rank, how items are made to doubt, and what is compared.

    items: drawn in each step for L_mm and L_recon. one_way, unaligned: see `losses.alignment`, `without`.
    """

    align: float
    recon: float
    items: int
    modality_dropout: float
    swap: float
    mask_history: bool
    one_way: bool = False
    unaligned: tuple[int, ...] = ()


class JointObjective:
    """One way to train a `JointModel`: over all items, or over those that a batch touches and sampled negatives."""

    def __init__(
        self,
        model: JointModel,
        content: Content,
        frozen: Tensor,
        losses: Losses,
        sampler: NegativeSampler | None,
        precision: torch.dtype,
    ) -> None:
        """content: of all I items, on the model's device. frozen: (I, D), e_cf of the backbone, standardised, which
        L_recon asks for. sampler: None for the softmax over the whole catalogue."""
        self._model, self._content, self._frozen, self._losses = model, content, frozen, losses
        self._sampler, self._precision = sampler, precision
        self._table = model.latents.collaborative
        self._gradient = None
        if sampler is not None and self._table.requires_grad:
            self._gradient = torch.zeros_like(self._table)
        self._touched = torch.empty(0, dtype=torch.int64, device=self._table.device)

    def backward(self, batch: TrainingBatch, noise: torch.Generator, draws: torch.Generator) -> Tensor:
        if self._sampler is None:
            return self._over_all(batch, noise, draws)
        return self._over_touched(batch, self._sampler.draw(draws), noise, draws)

    def clear(self) -> None:
        for parameter in self._model.parameters():
            parameter.grad = None
        if self._gradient is not None:
            self._gradient.index_fill_(0, self._touched, 0)

    def _over_all(self, batch: TrainingBatch, noise: torch.Generator, draws: torch.Generator) -> Tensor:
        device = self._table.device
        masked = history_pairs(batch).to(device) if self._losses.mask_history else None
        found = self._latents(self._content, self._table, noise)
        users = self._users(batch, batch.items.to(device), found.z, noise)
        targets = batch.targets[batch.real].to(device)
        loss = full_softmax(users, unit_rows(found.z), targets, masked, precision=self._precision)
        loss = loss + self._beside(found, self._content, self._frozen, draws)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _over_touched(
        self, batch: TrainingBatch, negatives: Negatives, noise: torch.Generator, draws: torch.Generator
    ) -> Tensor:
        """Only the rows that a batch touches are made into latents; their gradient goes into a lasting one."""
        device = self._table.device
        targets = batch.targets[batch.real]
        hits = self._hits(batch, negatives, targets)
        parts = [batch.items.flatten(), targets, negatives.items]
        rows, places = torch.unique(torch.cat(parts), return_inverse=True)
        inputs, own, others = places.to(device).split([len(part) for part in parts])
        rows = rows.to(device)
        table = embedding(rows, self._table.detach()).requires_grad_(self._table.requires_grad)
        content = self._content.take(rows)
        found = self._latents(content, table, noise)
        users = self._users(batch, inputs.view(batch.items.shape), found.z, noise)
        unit = unit_rows(found.z)
        with autocast(device, self._precision):
            inclusion = negatives.log_inclusion.to(device)
            loss = sampled_softmax(users, embedding(own, unit), embedding(others, unit), inclusion, hits)
        loss = loss + self._beside(found, content, self._frozen[rows], draws)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._gradient is not None:
            assert table.grad is not None
            self._touched, self._table.grad = rows, self._gradient.index_copy_(0, rows, table.grad)
        return loss.detach()

    def _latents(self, content: Content, table: Tensor, noise: torch.Generator) -> Latents:
        losses = self._losses
        with autocast(table.device, self._precision):
            found: Latents = self._model.latents(
                content, table, noise=noise, modality_dropout=losses.modality_dropout, swap=losses.swap
            )
        return found

    def _users(self, batch: TrainingBatch, items: Tensor, z: Tensor, noise: torch.Generator) -> Tensor:
        device = z.device
        with autocast(device, self._precision):
            states = self._model.tower(items, batch.lengths.to(device), noise, z)
            return self._model.users(states[batch.real.to(device)])

    def _beside(self, found: Latents, content: Content, frozen: Tensor, draws: torch.Generator) -> Tensor:
        """The weighed losses beside L_rank, on distinct items drawn for this step."""
        losses = self._losses
        if losses.align == 0 and losses.recon == 0:
            return found.z.new_zeros(())
        some = torch.randperm(len(found.z), generator=draws)[: losses.items].to(found.z.device)
        loss = found.z.new_zeros(())
        if losses.align > 0:
            projected = [part[some] for part in found.projected]
            own = found.own[some]
            scale = self._model.alignment_scale()
            loss = loss + losses.align * alignment(
                projected, own, scale, one_way=losses.one_way, without=losses.unaligned
            )
        if losses.recon > 0:
            wanted = [frozen[some], *(vectors[some] for vectors in content.vectors)]
            with autocast(found.z.device, self._precision):
                decoded = self._model.decode(found.z[some])
            # A latent into which another item's content was swapped does not know what its own was.
            whole = (found.own[some] == content.present[some]).all(1, keepdim=True)
            loss = loss + losses.recon * reconstruction(decoded, wanted, content.present[some] & whole)
        return loss

    def _hits(self, batch: TrainingBatch, negatives: Negatives, targets: Tensor) -> tuple[Tensor, Tensor]:
        masked: MaskedPairs | None = history_pairs(batch) if self._losses.mask_history else None
        rows, columns = accidental_hits(negatives.items, len(self._table), targets, masked)
        return rows.to(self._table.device), columns.to(self._table.device)
