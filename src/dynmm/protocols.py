"""What the stages need of one another. The assembly passes one stage to another as these, never as a class.

B users, I items, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from dynmm.factids import FactId
from dynmm.types import IntArray, UserHistory


class VectorSpace(Protocol):
    """A frozen stage in which users and items are vectors and a score is their inner product."""

    @property
    def width(self) -> int:
        """D."""
        ...

    @property
    def item_vectors(self) -> torch.Tensor:
        """(I, D) float32."""
        ...

    def user_vectors(self, histories: Sequence[UserHistory]) -> torch.Tensor:
        """(B, D) float32, each from its own history alone."""
        ...


class SequenceTower(Protocol):
    """A module that reads a user's items as vectors out of a table that somebody else owns. L history length."""

    @property
    def width(self) -> int:
        """D."""
        ...

    @property
    def length(self) -> int:
        """Items of a history that are read, the newest ones."""
        ...

    def __call__(self, items: Tensor, lengths: Tensor, noise: torch.Generator | None, table: Tensor) -> Tensor:
        """What is known after each place, (B, L, D) float32.

        items: (B, L) int64 rows of the table, padded on the right. lengths: (B,) real items, at least 1 each.
        noise: draws the dropout of a training step; none means inference. table: (R, D).
        """
        ...

    def states(self, histories: Sequence[IntArray], table: Tensor) -> Tensor:
        """What is known after each history, (B, D) float32 without gradient; zeros for an empty one."""
        ...


class FactStore(Protocol):
    """Facts as they stood at an offset: what a rationale is written from and checked against.

    offset: a number of events in the log. The events of the fit come first and all count at every offset from their
    number on; learned events follow in their order. Ids are those of the outside world.
    """

    @property
    def offset(self) -> int:
        """Events in the log now."""
        ...

    @property
    def n_items(self) -> int:
        """Items in the catalogue at the fit: of so many is told how many share a value."""
        ...

    def fact(self, fact: FactId, as_of: int, user: str | None = None) -> Mapping[str, Any] | None:
        """What was stored of a fact, JSON values by name; None where there was no such fact.

        user: who asks; they are never among `users`. None where nobody known asks. Raises DataError where the log
        cannot be read as of that offset.

            followed    users, within (events), source_users
            together    users, window (events), source_users
            union       users, window (events)
            attribute   name, value, items (how many items of the fit share the value)
            alike       modality, cosine (4 places), attributes (words that hold for both, strongest first)
            trend       users, days, rank (1 is the item that most people took)
            taken       users

        users: distinct people. source_users: distinct people who took the source. The asking user is in neither.
        """
        ...

    def released(self, item: str, every: int, as_of: int | None = None) -> int:
        """The offset as of which facts about an item may be told to the public: once for every so many takers."""
        ...

    def moment(self, as_of: int) -> int | None:
        """The time of the newest event before an offset, ms UTC: up to then a trend counts. None without timestamps."""
        ...

    def has(self, user: str, item: str, as_of: int) -> bool | None:
        """Whether a user had taken an item; None where the store knows no such user."""
        ...

    def title(self, item: str) -> str | None:
        """The title as the catalogue has it, None where there is none."""
        ...

    def about(self, item: str) -> Mapping[str, Any] | None:
        """What tells items of one title apart: `year` and `brand` where they are known. None for an unknown item."""
        ...
