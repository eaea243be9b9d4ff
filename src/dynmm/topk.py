"""From dense scores to `Rankings`, block by block, so that memory never holds users x items."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from dynmm.system import PADDING, Query, Rankings

#: Scores of one block of queries: takes b queries, returns (b, I) float32 that the caller may overwrite.
ScoreBlock = Callable[[Sequence[Query]], torch.Tensor]

#: A block's score matrix stays under this many bytes: large enough for fast products, small beside a model.
BLOCK_BYTES = 48 * 2**20

#: The same where scores are inner products alone: a block that stays in the processor's cache between the
#: product, the mask and the selection.
PRODUCT_BLOCK_BYTES = 8 * 2**20

#: Fewest rows that a matrix product gets where bits matter. Below it BLAS switches to another kernel, with
#: another order of summation, and what one user gets would depend on how many others are in the batch.
#: Eight are enough for vectors of up to 128 numbers, not for the 384 of a sentence encoder.
SAME_KERNEL_ROWS = 16


def rank_in_blocks(
    score: ScoreBlock, queries: Sequence[Query], k: int, n_items: int, *, block_bytes: int = BLOCK_BYTES
) -> Rankings:
    """The best k items of every query, scored in blocks of at most `block_bytes` (4 bytes a score).

    Excluded items and items outside `Query.candidates` never come back; a row with fewer than k items left
    ends in padding. An item scored -inf counts as not rankable. Raises FloatingPointError on NaN scores.
    """
    items = np.full((len(queries), k), PADDING, dtype=np.int32)
    scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
    rows = max(1, block_bytes // (4 * max(1, n_items)))
    for start in range(0, len(queries), rows):
        block = queries[start : start + rows]
        found_items, found_scores = best(mask(score(block), block), k)
        width = found_items.shape[1]
        items[start : start + len(block), :width] = found_items
        scores[start : start + len(block), :width] = found_scores
    return Rankings(items, scores)


def rank_by_vectors(
    users: torch.Tensor,
    items: torch.Tensor,
    queries: Sequence[Query],
    k: int,
    *,
    block_bytes: int = PRODUCT_BLOCK_BYTES,
) -> Rankings:
    """`rank_in_blocks` where the score is the inner product of user and item.

    users: (Q, D) float32, a row for each query. items: (I, D) float32 on the same device. In float32 on a
    CPU a query's scores are the same to the bit whichever other queries come with it.
    """
    n_items = len(items)
    rows = max(SAME_KERNEL_ROWS, min(len(queries), block_bytes // (4 * max(1, n_items))))
    scores = torch.empty(rows, n_items, dtype=torch.float32, device=items.device)
    transposed = items.t()
    start = 0

    def score(block: Sequence[Query]) -> torch.Tensor:
        # Blocks come in order, so the place in `users` is the number of queries scored so far.
        nonlocal start
        wanted = users[start : start + len(block)]
        start += len(block)
        size = max(SAME_KERNEL_ROWS, len(block))
        padded = torch.nn.functional.pad(wanted, (0, 0, 0, size - len(block)))
        return torch.mm(padded, transposed, out=scores[:size])[: len(block)]

    return rank_in_blocks(score, queries, k, n_items, block_bytes=4 * rows * n_items)


def inner_products(users: NDArray[np.float32], items: NDArray[np.float32]) -> NDArray[np.float32]:
    """(B, I) inner products, a row the same to the bit whichever others come with it. users: (B, W), items: (I, W).

    Every product has `SAME_KERNEL_ROWS` rows, no more and no fewer: which kernel BLAS takes depends on their number.
    """
    out = np.empty((len(users), len(items)), dtype=np.float32)
    transposed = torch.from_numpy(items).t()
    for start in range(0, len(users), SAME_KERNEL_ROWS):
        block = users[start : start + SAME_KERNEL_ROWS]
        padded = np.pad(block, ((0, SAME_KERNEL_ROWS - len(block)), (0, 0)))
        out[start : start + len(block)] = (torch.from_numpy(padded) @ transposed)[: len(block)].numpy()
    return out


def mask(scores: torch.Tensor, queries: Sequence[Query]) -> torch.Tensor:
    """Set to -inf, in place where possible, what a query excludes or does not name as a candidate.

    scores: (b, I) float32. Returns (b, I).
    """
    if any(query.candidates is not None for query in queries):
        scores = _only_candidates(scores, queries)
    lengths = [len(query.exclude) for query in queries]
    if sum(lengths):
        rows = torch.repeat_interleave(torch.arange(len(queries)), torch.tensor(lengths))
        columns = torch.from_numpy(np.concatenate([query.exclude for query in queries]).astype(np.int64))
        scores[rows.to(scores.device), columns.to(scores.device)] = -torch.inf
    return scores


def _only_candidates(scores: torch.Tensor, queries: Sequence[Query]) -> torch.Tensor:
    kept = torch.full_like(scores, -torch.inf)
    for row, query in enumerate(queries):
        if query.candidates is None:
            kept[row] = scores[row]
        else:
            columns = torch.from_numpy(np.asarray(query.candidates, dtype=np.int64)).to(scores.device)
            kept[row, columns] = scores[row, columns]
    return kept


def best(scores: torch.Tensor, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The k best columns of each row, best first, equal scores by column number.

    scores: (b, I) float32. Returns items (b, min(k, I)) with padding where the score is -inf, and scores.
    """
    n_items = scores.shape[1]
    width = min(k, n_items)
    # One more than asked shows whether a tie runs across the border, where topk picks at will.
    top, columns = torch.topk(scores, min(k + 1, n_items), dim=1)
    values, found = top.cpu().numpy(), columns.cpu().numpy()
    if np.isnan(values).any():
        raise FloatingPointError("a system returned NaN scores; nothing can be ranked by them")
    order = np.lexsort((found[:, :width], -values[:, :width]), axis=1)
    items = np.take_along_axis(found[:, :width], order, axis=1).astype(np.int32)
    kept = np.take_along_axis(values[:, :width], order, axis=1)
    if values.shape[1] > width:
        tied = np.flatnonzero((values[:, width - 1] == values[:, width]) & np.isfinite(values[:, width]))
        for row in tied:
            items[row] = _exact_row(scores[row].cpu().numpy(), float(values[row, width - 1]), width)
    items[np.isneginf(kept)] = PADDING
    return items, kept


def _exact_row(scores: NDArray[np.float32], border: float, width: int) -> NDArray[np.int32]:
    reachable = np.flatnonzero(scores >= border)
    order = np.lexsort((reachable, -scores[reachable]))
    return reachable[order[:width]].astype(np.int32)
