"""Softmax cross-entropy over a catalogue, in full or over sampled negatives, without keeping the logits.

T tokens (places to predict), I items, D width, K negatives, P masked pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

#: Logits of one chunk: some tens of megabytes, which stays near the processor and wastes little on overhead.
CHUNK_ELEMENTS = 32_000_000

_NEVER = -1e30


@dataclass(frozen=True, eq=False)
class MaskedPairs:
    """Items that leave a token's softmax: what its user already had, which is never asked for.

    rows: (P,) int64 tokens, ascending. items: (P,) int64. No pair may name its token's own target.
    """

    rows: Tensor
    items: Tensor

    def to(self, device: torch.device) -> MaskedPairs:
        """The same on a device."""
        return MaskedPairs(self.rows.to(device), self.items.to(device))


def full_softmax(
    users: Tensor,
    items: Tensor,
    targets: Tensor,
    masked: MaskedPairs | None = None,
    *,
    precision: torch.dtype = torch.bfloat16,
    chunk_elements: int = CHUNK_ELEMENTS,
) -> Tensor:
    """Mean cross-entropy of every token over the whole catalogue, a scalar.

    users: (T, D) float32. items: (I, D) float32. targets: (T,) int64. precision: of the matrix products;
    sums and the target's own gradient are float32 in any case. Both gradients are made in the forward
    pass, chunk by chunk, so T x I logits are never held.
    """
    loss: Tensor = _FullSoftmax.apply(users, items, targets, masked, precision, chunk_elements)  # type: ignore[no-untyped-call]
    return loss


class _FullSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        users: Tensor,
        items: Tensor,
        targets: Tensor,
        masked: MaskedPairs | None,
        precision: torch.dtype,
        chunk_elements: int,
    ) -> Tensor:
        tokens, rows = len(users), max(1, chunk_elements // len(items))
        low_users, low_items = users.to(precision), items.to(precision)
        user_gradient, item_gradient = torch.empty_like(users), torch.zeros_like(items)
        total = users.new_zeros(())
        for start in range(0, tokens, rows):
            stop = min(tokens, start + rows)
            chunk = low_users[start:stop]
            chances = _chances(chunk, low_items, masked, start, stop)
            own = _wide(chances.gather(1, targets[start:stop, None]))
            # Below what bf16 can tell from 0 the logarithm would be -inf; the gradient is exact all the same.
            total -= own.clamp(min=1e-30).log().sum()
            user_gradient[start:stop] = chances @ low_items
            item_gradient += chances.t() @ chunk
        # The softmax's gradient is chances - onehot(target). The second part is exact and cheap in float32.
        user_gradient -= items[targets]
        item_gradient.index_add_(0, targets, users, alpha=-1)
        ctx.save_for_backward(user_gradient.div_(tokens), item_gradient.div_(tokens))
        return total / tokens

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        user_gradient, item_gradient = ctx.saved_tensors  # type: ignore[attr-defined]
        factor = float(gradients[0])
        if factor != 1.0:
            user_gradient, item_gradient = user_gradient * factor, item_gradient * factor
        return user_gradient, item_gradient, None, None, None, None


def _chances(users: Tensor, items: Tensor, masked: MaskedPairs | None, start: int, stop: int) -> Tensor:
    """Softmax of one chunk of tokens, (stop - start, I) in the products' precision."""
    logits = users @ items.t()
    if masked is not None:
        first, behind = torch.searchsorted(masked.rows, torch.tensor([start, stop], device=masked.rows.device)).tolist()
        logits[masked.rows[first:behind] - start, masked.items[first:behind]] = _NEVER
    chances: Tensor = torch.softmax(logits, dim=-1)
    return chances


def _wide(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def unit_rows(table: Tensor) -> Tensor:
    """Each row over its length, (I, D). A row of zeros stays zero.

    The same as `F.normalize`, whose gradient makes several passes over the whole table: beside a fused
    softmax they cost as much as the attention.
    """
    unit: Tensor = _UnitRows.apply(table)  # type: ignore[no-untyped-call]
    return unit


class _UnitRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, table: Tensor) -> Tensor:
        inverse = torch.linalg.vector_norm(table, dim=-1, keepdim=True).clamp_(min=1e-12).reciprocal_()
        unit: Tensor = table * inverse
        ctx.save_for_backward(unit, inverse)
        return unit

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Tensor:
        unit, inverse = ctx.saved_tensors  # type: ignore[attr-defined]
        along = torch.bmm(gradients[0].unsqueeze(1), unit.unsqueeze(2)).squeeze(2)
        return torch.addcmul(gradients[0], unit, along, value=-1).mul_(inverse)


@dataclass(frozen=True, eq=False)
class Negatives:
    """Distinct items that stand for the rest of the catalogue in one batch.

    items: (K,) int64. log_inclusion: (K,) float32, the log of each one's chance to be among them.
    """

    items: Tensor
    log_inclusion: Tensor

    def to(self, device: torch.device) -> Negatives:
        """The same on a device."""
        return Negatives(self.items.to(device), self.log_inclusion.to(device))


class NegativeSampler:
    """Draws shared negatives with chances proportional to count ** power."""

    def __init__(self, counts: Tensor, draws: int, power: float) -> None:
        """counts: (I,) events of each item. draws: per batch, with replacement. power: 0 is uniform."""
        weights = counts.double().cpu().clamp(min=1).pow(power)
        chances = weights / weights.sum()
        self._steps = chances.cumsum(0)
        self._log_inclusion = torch.log(-torch.expm1(draws * torch.log1p(-chances.clamp(max=1 - 1e-12)))).float()
        self._draws = draws

    def draw(self, source: torch.Generator) -> Negatives:
        """One batch's negatives, each once. source: a CPU generator."""
        picks = torch.rand(self._draws, dtype=torch.float64, generator=source)
        items = torch.searchsorted(self._steps, picks * self._steps[-1], right=True)
        items = torch.unique(items.clamp(max=len(self._steps) - 1))
        return Negatives(items, self._log_inclusion[items])


def sampled_softmax(
    users: Tensor,
    target_vectors: Tensor,
    negative_vectors: Tensor,
    log_inclusion: Tensor,
    hits: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Mean cross-entropy of every token over its target and the batch's negatives, a scalar.

    users: (T, D). target_vectors: (T, D), each token's own target. negative_vectors: (K, D). log_inclusion:
    (K,); a negative that enters with chance q stands for 1/q items, so its logit is raised by -log q: the
    Horvitz-Thompson estimate of the full softmax's denominator, the logQ correction of Bengio & Senecal
    2008. hits: token rows and negative columns that must not count, see `accidental_hits`.
    """
    own = _wide((users * target_vectors).sum(-1))
    others = _wide(users @ negative_vectors.t()) - log_inclusion
    if hits is not None:
        others = others.index_put(hits, others.new_tensor(_NEVER))
    return (torch.logaddexp(torch.logsumexp(others, dim=-1), own) - own).mean()


def accidental_hits(
    negatives: Tensor, n_items: int, targets: Tensor, masked: MaskedPairs | None
) -> tuple[Tensor, Tensor]:
    """Where a negative is the token's own target or masked for it: token rows and negative columns."""
    column = torch.full((n_items,), -1, dtype=torch.int64, device=negatives.device)
    column[negatives] = torch.arange(len(negatives), device=negatives.device)
    rows, items = torch.arange(len(targets), device=targets.device), targets
    if masked is not None:
        rows, items = torch.cat([rows, masked.rows]), torch.cat([items, masked.items])
    columns = column[items]
    return rows[columns >= 0], columns[columns >= 0]
