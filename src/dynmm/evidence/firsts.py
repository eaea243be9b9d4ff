"""Which pairs of events a user is counted for, where the user has items more than once.

Pairs are named by slots: a slot is one item of one user, so two slots name a pair of items and its user. Of the
pairs of new events that name the same, one is chosen, and none where older events have made that pair already.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.ragged import ranges
from dynmm.evidence.stretch import Stretch

_Slots = NDArray[np.int64]


def first_of_pair(stretch: Stretch, slots: _Slots, theirs: _Slots, ours: _Slots, window: int) -> NDArray[np.bool_]:
    """(P,) True for one pair of each kind whose user did not have both within the window before, in either order.

    slots: (M,) by event. theirs, ours: (P,) slots of the pairs' earlier and later events.
    """
    names = _either_order(theirs, ours)
    return _one_of_each(names, _made_together(stretch, slots, window))


def first_to_follow(stretch: Stretch, slots: _Slots, theirs: _Slots, ours: _Slots, within: int) -> NDArray[np.bool_]:
    """(P,) True for one pair of each kind whose user did not take the one within so many events of the other before."""
    names = (theirs << 32) | ours
    return _one_of_each(names, _made_following(stretch, slots, within))


def _one_of_each(names: NDArray[np.int64], made: NDArray[np.int64]) -> NDArray[np.bool_]:
    distinct, places = np.unique(names, return_index=True)
    chosen = np.zeros(len(names), dtype=bool)
    chosen[places] = ~np.isin(distinct, made)
    return chosen


def _either_order(one: _Slots, other: _Slots) -> NDArray[np.int64]:
    return (np.minimum(one, other) << 32) | np.maximum(one, other)


def _made_together(stretch: Stretch, slots: _Slots, window: int) -> NDArray[np.int64]:
    """Pairs of older events within the window, with an item that returns among the new ones."""
    old, before = _returning(stretch, slots)
    if not len(old):
        return old
    # What lies near several events of the same slot is looked at once.
    lowest = np.maximum(old - window, stretch.begins[old])
    start = np.where(before >= 0, np.maximum(lowest, before + window + 1), lowest)
    end = np.minimum(old + window + 1, stretch.fresh_begins[old])
    lengths = np.maximum(end - start, 0)
    own, other = np.repeat(slots[old], lengths), slots[ranges(start, lengths)]
    others = own != other
    itself = slots[old[(before >= 0) & (old - before <= window)]]
    return np.unique(np.concatenate([_either_order(own[others], other[others]), _either_order(itself, itself)]))


def _made_following(stretch: Stretch, slots: _Slots, within: int) -> NDArray[np.int64]:
    """Pairs of older events, the second within so many events of the first and an item that returns."""
    old, _ = _returning(stretch, slots)
    start = np.maximum(old - within, stretch.begins[old])
    lengths = old - start
    own, other = np.repeat(slots[old], lengths), slots[ranges(start, lengths)]
    return np.unique((other << 32) | own)


def _returning(stretch: Stretch, slots: _Slots) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of older events whose slot new events have too, slot by slot; and the one of the slot before, or -1."""
    returns = np.zeros(int(slots.max(initial=-1)) + 1, dtype=bool)
    returns[slots[stretch.fresh]] = True
    older = np.flatnonzero(returns[slots] & (np.arange(len(slots)) < stretch.fresh_begins))
    order = older[np.argsort(slots[older], kind="stable")]
    before = np.full(len(order), -1, dtype=np.int64)
    same = slots[order[1:]] == slots[order[:-1]]
    before[1:][same] = order[:-1][same]
    return order, before
