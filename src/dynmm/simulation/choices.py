"""Which item each event takes: what is hot, what follows on, or what taste and popularity say."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynmm.simulation.bursts import Burst
from dynmm.simulation.catalogue import SUCCESSOR_CHANCES, Catalogue
from dynmm.simulation.sampling import Sampler

#: Why an event took its item; the place in this tuple is its code.
CAUSES = ("taste", "popularity", "sequence", "burst", "attack")
TASTE, POPULARITY, SEQUENCE, BURST, ATTACK = range(5)

#: A user who finds nothing new in so many tries has exhausted what they like.
_TRIES = 25


@dataclass(eq=False)
class _Draft:
    """Events in the making, whole users, in time order within each. base: what is taken if nothing precedes."""

    users: NDArray[np.int32]
    times: NDArray[np.float64]
    base: NDArray[np.int32]
    cause: NDArray[np.int8]
    follows: NDArray[np.bool_]
    slot: NDArray[np.int8]

    def take(self, rows: NDArray[np.bool_]) -> _Draft:
        return _Draft(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


class Chooser:
    """Chooses the items of scheduled events."""

    def __init__(
        self, catalogue: Catalogue, sampler: Sampler, bursts: Sequence[Burst], *, sequence: float, repeats: bool
    ) -> None:
        self._catalogue, self._sampler, self._bursts = catalogue, sampler, bursts
        self._sequence, self._repeats = sequence, repeats

    def choose(
        self, users: NDArray[np.int32], times: NDArray[np.float64], random: np.random.Generator
    ) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.bool_]]:
        """Items and causes of N events, grouped by user and in time order; and which events to keep.

        An event is not kept where its user found nothing that they had not taken before.
        """
        draft = self._draft(users, times, random)
        items, cause = self._resolve(draft)
        keep = np.ones(len(users), dtype=bool)
        if self._repeats:
            return items, cause, keep
        rows = np.arange(len(users))
        for _ in range(_TRIES):
            again = repeated(draft.users, items[rows], len(self._catalogue.arrives))
            if not again.any():
                return items, cause, keep
            self._redraw(draft, again, random)
            # Only the users who still repeat themselves go round again.
            unsettled = np.isin(draft.users, draft.users[again])
            rows, draft = rows[unsettled], draft.take(unsettled)
            items[rows], cause[rows] = self._resolve(draft)
        keep[rows] = ~repeated(draft.users, items[rows], len(self._catalogue.arrives))
        return items, cause, keep

    def _draft(self, users: NDArray[np.int32], times: NDArray[np.float64], random: np.random.Generator) -> _Draft:
        base, by_popularity = self._sampler.draw(users, times, random)
        cause = np.where(by_popularity, POPULARITY, TASTE).astype(np.int8)
        first = np.concatenate([[True], users[1:] != users[:-1]])[: len(users)]
        follows = (random.random(len(users)) < self._sequence) & ~first
        slot = random.choice(len(SUCCESSOR_CHANCES), len(users), p=SUCCESSOR_CHANCES).astype(np.int8)
        for burst in self._bursts:
            caught = np.flatnonzero(burst.on(times) & (random.random(len(users)) < burst.share))
            if burst.scope == "item":
                base[caught] = burst.target
            else:
                base[caught] = self._sampler.of_category(burst.target, times[caught], random)
            cause[caught], follows[caught] = BURST, False
        return _Draft(users, times, base, cause, follows, slot)

    def _redraw(self, draft: _Draft, again: NDArray[np.bool_], random: np.random.Generator) -> None:
        """A successor already taken gives way to what lies beneath; anything else is drawn anew."""
        fresh = np.flatnonzero(again & ~draft.follows)
        draft.follows[again] = False
        draft.base[fresh], by_popularity = self._sampler.draw(draft.users[fresh], draft.times[fresh], random)
        draft.cause[fresh] = np.where(by_popularity, POPULARITY, TASTE)

    def _resolve(self, draft: _Draft) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
        """Items and causes where those that follow take a successor of the item before, if it has arrived."""
        items, cause = draft.base.copy(), draft.cause.copy()
        places = np.arange(len(items))
        depth = places - np.maximum.accumulate(np.where(draft.follows, 0, places))
        order = np.argsort(depth, kind="stable")
        bounds = np.searchsorted(depth[order], np.arange(1, depth.max(initial=0) + 2))
        for start, end in itertools.pairwise(bounds):
            rows = order[start:end]
            successor = self._catalogue.successors[items[rows - 1], draft.slot[rows]]
            there = self._catalogue.arrives[successor] <= draft.times[rows]
            items[rows[there]], cause[rows[there]] = successor[there], SEQUENCE
        return items, cause


def repeated(users: NDArray[np.int32], items: NDArray[np.int32], n_items: int) -> NDArray[np.bool_]:
    """(N,) whether the user has an earlier row with the same item."""
    key = users.astype(np.int64) * n_items + items
    order = np.argsort(key, kind="stable")
    again = np.zeros(len(key), dtype=bool)
    again[order[1:]] = key[order[1:]] == key[order[:-1]]
    return again
