"""The paper's evidence segment: the strongest facts as soft tokens of their own.

A fact is one feature of one candidate; it is the stronger, the further its standardised value is from the usual. Its
token is what the evidence encoder makes of that feature alone, plus the candidate's own token, which says whose it is.
The facts stand in the order of the candidates. In `listwise` the E strongest of a slate are told before all candidates;
in `branch`, where nothing about another candidate may be seen, each branch tells the E strongest of its own candidate.

R rows, C candidates of a row (1 in a branch), F' features, E facts, T token width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dynmm.language.prompt import Part


def strongest(
    evidence: Tensor, present: Tensor, tokens: Tensor, count: int, encode: Callable[[Tensor], Tensor]
) -> Part:
    """The tokens of each row's strongest facts, (R, E, T); a fact of nought or of no candidate is a hole.

    evidence: (R, C, F'). present: (R, C) bool. tokens: (R, C, T) of the candidates. count: E. encode: features to
    tokens.
    """
    rows, _, features = evidence.shape
    strength = evidence.abs().masked_fill(~present[..., None], 0.0).flatten(1)
    # Stable, so that facts of the same strength are taken in their order, whatever the machine.
    found = strength.argsort(dim=1, descending=True, stable=True)[:, :count].sort(dim=1).values
    told = torch.zeros(rows, found.shape[1], features, dtype=evidence.dtype, device=evidence.device)
    values = evidence.flatten(1).gather(1, found)
    told.scatter_(2, (found % features)[..., None], values[..., None])
    own = tokens.gather(1, (found // features)[..., None].expand(-1, -1, tokens.shape[2]))
    return Part(encode(told) + own, strength.gather(1, found) > 0)
