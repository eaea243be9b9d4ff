"""A prompt as vectors, who sees whom in it, and positions.

The head is system, user and history: one for each user. The tail is what follows: evidence and candidates. No token of
the head sees the tail, so the head's states can be kept. In `branch` every candidate sees the head and its own tokens,
and positions go on from the head for each anew; its evidence segment, where there is one, is its own, so that each
candidate reads the template with itself as the only candidate. In `listwise` candidates see those before them, and one
evidence segment stands before them all.

B rows, P tokens of the head, M of the tail, C candidates, K tokens of a branch, T token width. Rows differ in length:
what is not `real` is a hole, which sees itself alone and which nobody sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Part:
    """Tokens one after the other. tokens: (B, N, T). real: (B, N) bool."""

    tokens: Tensor
    real: Tensor

    @staticmethod
    def joined(parts: list[Part], dtype: torch.dtype) -> Part:
        """One after the other. dtype: of the tokens."""
        return Part(torch.cat([one.tokens.to(dtype) for one in parts], 1), torch.cat([one.real for one in parts], 1))

    @staticmethod
    def text(tokens: Tensor, rows: int) -> Part:
        """The same text (N, T) in every row."""
        real = torch.ones(rows, len(tokens), dtype=torch.bool, device=tokens.device)
        return Part(tokens.expand(rows, -1, -1), real)

    @property
    def places(self) -> Tensor:
        """(B, N) int64 positions, counting what is real."""
        return (self.real.cumsum(1) - 1).clamp(min=0)


@dataclass(frozen=True, eq=False)
class Tail:
    """What follows the head.

    part: its tokens. seen: (B, M, M) bool, which of them each may look at. places: (B, M) positions, counted from the
    head's end. slots: (C,) where each candidate's own token is.
    """

    part: Part
    seen: Tensor
    places: Tensor
    slots: Tensor


@dataclass(frozen=True, eq=False)
class Prompt:
    """What a frozen model runs on: embeddings (B, N, T), visible (B, N, P + N) bool, places (B, N)."""

    embeddings: Tensor
    visible: Tensor
    places: Tensor


def head_prompt(head: Part, *, causal: bool) -> Prompt:
    """The head alone. causal: a token sees what is before it; else it sees the whole head."""
    return Prompt(head.tokens, _within(head.real, causal), head.places)


def tail_prompt(head_real: Tensor, tail: Tail) -> Prompt:
    """The tail, going on from a head whose states are known. head_real: (B, P) bool."""
    visible = torch.cat([_over_head(head_real, tail), tail.seen], dim=2)
    return Prompt(tail.part.tokens, visible, tail.places + head_real.sum(1, keepdim=True))


def whole_prompt(head: Part, tail: Tail, *, causal: bool) -> Prompt:
    """Head and tail in one. What the tail sees is what it sees when the head's states are kept."""
    first, second = head_prompt(head, causal=causal), tail_prompt(head.real, tail)
    unseen = first.visible.new_zeros(1, 1, 1).expand(len(head.real), head.real.shape[1], tail.seen.shape[2])
    return Prompt(
        torch.cat([first.embeddings, second.embeddings], 1),
        torch.cat([torch.cat([first.visible, unseen], 2), second.visible], 1),
        torch.cat([first.places, second.places], 1),
    )


def branches(blocks: Tensor, real: Tensor, *, causal: bool) -> Tail:
    """Each candidate by itself. blocks: (B, C, K, T), its own token last. real: (B, C, K) bool."""
    rows, candidates, size, width = blocks.shape
    places = (real.cumsum(2) - 1).clamp(min=0).flatten(1)
    own = _within(real.flatten(0, 1), causal).view(rows, candidates, size, size)
    seen = blocks.new_zeros(rows, candidates, size, candidates, size, dtype=torch.bool)
    at = torch.arange(candidates, device=blocks.device)
    # Two index tensors with a slice between them put their common axis first.
    seen[:, at, :, at] = own.transpose(0, 1)
    slots = at * size + size - 1
    part = Part(blocks.reshape(rows, candidates * size, width), real.flatten(1))
    return Tail(part, seen.view(rows, candidates * size, candidates * size), places, slots)


def listed(before: Part | None, blocks: Tensor, real: Tensor) -> Tail:
    """Candidates one after the other, and what stands before them all. blocks: (B, C, K, T). real: (B, C, K) bool."""
    rows, candidates, size, width = blocks.shape
    own = Part(blocks.reshape(rows, candidates * size, width), real.flatten(1))
    part = own if before is None else Part.joined([before, own], blocks.dtype)
    first = part.real.shape[1] - candidates * size
    slots = first + torch.arange(candidates, device=blocks.device) * size + size - 1
    return Tail(part, _within(part.real, causal=True), part.places, slots)


def _within(real: Tensor, causal: bool) -> Tensor:
    """(B, N, N): each sees what is real, if causal what is real and not behind it, and itself."""
    length = real.shape[1]
    seen = real[:, None, :].expand(-1, length, -1)
    if causal:
        seen = seen & torch.ones(length, length, dtype=torch.bool, device=real.device).tril()
    # A row of real tokens alone is read by real tokens alone: holes look at themselves, or they would be no number.
    seen = seen & real[:, :, None]
    return seen | torch.eye(length, dtype=torch.bool, device=real.device)


def _over_head(head_real: Tensor, tail: Tail) -> Tensor:
    """(B, M, P): real tokens of the tail see all real ones of the head."""
    return tail.part.real[:, :, None] & head_real[:, None, :]
