"""What a re-ranker is asked: a few candidates for each user, with all that the stages below know of them.

B users, L history items, C candidates, F facts, I items, D width of the joint latent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

#: Stands for "no item" in `Slates.history` and `Slates.items`.
NOBODY = -1


@dataclass(frozen=True, eq=False)
class Slates:
    """B questions with C candidates each, the same for every re-ranker.

    users: (B, D) float32 vectors of the stage of vectors. history: (B, L) int64 dense items, oldest first, padded on
    the left with `NOBODY`. items: (B, C) int64 dense candidates, best first by the stages below, padded on the right
    with `NOBODY`. scores: (B, C) float32, latent + evidence, -inf at padding. latent: (B, C) float32, 0 at
    padding; what an adapter moves is in neither of the two. facts: (B, C, F) float32 of the evidence stage as it reads
    them, 0 at padding.
    """

    users: Tensor
    history: Tensor
    items: Tensor
    scores: Tensor
    latent: Tensor
    facts: Tensor

    def __len__(self) -> int:
        return len(self.items)

    @property
    def present(self) -> Tensor:
        """(B, C) bool: places that hold a candidate."""
        return self.items != NOBODY

    def take(self, rows: Tensor | slice) -> Slates:
        """Some of the questions, in the order given."""
        return Slates(*(getattr(self, one.name)[rows] for one in fields(self)))

    def places(self, columns: Tensor) -> Slates:
        """The candidates of these places, in the order given: (B, C') int64."""
        facts = self.facts.gather(1, columns[..., None].expand(-1, -1, self.facts.shape[2]))
        picked = (one.gather(1, columns) for one in (self.items, self.scores, self.latent))
        items, scores, latent = picked
        return Slates(self.users, self.history, items, scores, latent, facts)

    def to(self, device: torch.device | str) -> Slates:
        """The same on a device."""
        return Slates(*(getattr(self, one.name).to(device) for one in fields(self)))

    @staticmethod
    def joined(parts: Sequence[Slates]) -> Slates:
        """Several batches of one shape as one."""
        return Slates(*(torch.cat([getattr(part, one.name) for part in parts]) for one in fields(Slates)))


@dataclass(frozen=True, eq=False)
class Shelf:
    """What re-rankers know of the items themselves.

    vectors: (I, D) float32 latents of the stage of vectors. taken: (I,) float32 events of each item. titles: (I,),
    empty where there is none.
    """

    vectors: Tensor
    taken: Tensor
    titles: Sequence[str]

    def __len__(self) -> int:
        return len(self.vectors)
