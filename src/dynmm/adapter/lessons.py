"""What the adapter learns from: questions with their answers, on the state just before each, and earlier ones.

N events, C items of each (the one that was taken first), D width, S features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dynmm.protocols import VectorSpace
from dynmm.system import Query
from dynmm.types import FloatArray, IntArray

Arrays = dict[str, NDArray[np.generic]]


class Asked(Protocol):
    """A question, and what all other stages say to it."""

    query: Query

    def user(self, space: VectorSpace) -> Tensor:
        """(1, D) where the user stands in a space."""

    def best(self, space: VectorSpace, k: int) -> IntArray:
        """The best k items with these vectors, best first; fewer where there are fewer."""

    def beside(self, items: IntArray) -> FloatArray:
        """(C,) what other stages add to the scores of some items."""


def slate(
    item: int, best: IntArray, exclude: IntArray, drawn: IntArray, *, room: int, n_items: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(C,) items that an answer is told from, itself first, and (C,) the logarithm of how many each stands for.

    best: at most `room` items that are likely to be ranked first; they stand for themselves. exclude: no candidates.
    drawn: of all items; they stand for the rest. C is 1 + room + drawn, whatever is found.
    """
    hard = np.full(room, -1, np.int64)
    hard[: len(best)] = best
    others = np.concatenate([hard, drawn])
    rest = max(1, n_items - len(best) - len(exclude))
    fresh = ~np.isin(drawn, np.concatenate([best, exclude, [item]]))
    standing = np.zeros(len(others))
    standing[room:] = math.log(rest / max(1, int(fresh.sum())))
    # What is no candidate, the answer itself among them, tells nothing.
    standing[np.concatenate([(hard < 0) | (hard == item), ~fresh])] = -np.inf
    return np.concatenate([[item], np.maximum(others, 0)]), np.concatenate([[0.0], standing])


@dataclass(frozen=True, eq=False)
class Lesson:
    """Events as rows.

    people: (N,) int64. users: (N, D) base vectors. seen: (N, S) features of the users, active: (N,) their m. items:
    (N, C) int64. known: (N, C, S) features of the items, moving: (N, C) their m. beside: (N, C) what other stages add
    to the scores. standing: (N, C) the logarithm of how many items each stands for, -inf where there is no item.
    """

    people: Tensor
    users: Tensor
    seen: Tensor
    active: Tensor
    items: Tensor
    known: Tensor
    moving: Tensor
    beside: Tensor
    standing: Tensor

    def __len__(self) -> int:
        return len(self.people)

    @property
    def sound(self) -> bool:
        """Whether all of it but the standing, where -inf has a meaning, is finite."""
        read = (self.users, self.seen, self.active, self.known, self.moving, self.beside)
        return all(bool(torch.isfinite(one).all()) for one in read)

    def take(self, rows: Tensor | Sequence[int]) -> Lesson:
        """Some of them, in the order given."""
        places = torch.as_tensor(rows, dtype=torch.int64)
        return Lesson(*(getattr(self, one.name)[places] for one in fields(self)))

    def arrays(self, prefix: str) -> Arrays:
        """Everything, by name."""
        return {f"{prefix}.{one.name}": getattr(self, one.name).numpy() for one in fields(self)}

    @staticmethod
    def restored(arrays: Mapping[str, NDArray[np.generic]], prefix: str) -> Lesson | None:
        """What `arrays` gave; None where there was none."""
        if f"{prefix}.people" not in arrays:
            return None
        return Lesson(*(torch.from_numpy(np.array(arrays[f"{prefix}.{one.name}"])) for one in fields(Lesson)))

    @staticmethod
    def joined(parts: Sequence[Lesson]) -> Lesson:
        """Several of one shape as one."""
        return Lesson(*(torch.cat([getattr(part, one.name) for part in parts]) for one in fields(Lesson)))


class Reservoir:
    """Earlier events, each of them with the same chance of still being there (Vitter 1985, algorithm R)."""

    def __init__(self, size: int) -> None:
        self._size, self.met = size, 0
        self.kept: Lesson | None = None

    def add(self, lesson: Lesson, draws: np.random.Generator) -> None:
        """Let events in. draws: of this boundary alone."""
        if not self._size or not len(lesson):
            return
        free = self._size - (0 if self.kept is None else len(self.kept))
        first = min(free, len(lesson))
        if first:
            head = lesson.take(range(first))
            self.kept = head if self.kept is None else Lesson.joined([self.kept, head])
        assert self.kept is not None, "with room for some, some are kept"
        ranks = np.arange(self.met + first, self.met + len(lesson))
        places = (draws.random(len(ranks)) * (ranks + 1)).astype(np.int64)
        into = {int(place): first + row for row, place in enumerate(places) if place < self._size}
        self.met += len(lesson)
        if into:
            at = torch.tensor(list(into), dtype=torch.int64)
            new = lesson.take(list(into.values()))
            for one in fields(Lesson):
                getattr(self.kept, one.name)[at] = getattr(new, one.name)

    def drawn(self, count: int, draws: np.random.Generator) -> Lesson | None:
        """Some of them, each at most once."""
        if self.kept is None or not count:
            return None
        return self.kept.take(draws.permutation(len(self.kept))[:count].tolist())
