"""Which pairs of events a user is counted for, where the user has items more than once.

Pairs are named by slots: a slot is one item of one user, so two slots name a pair of items and its user. Of the
pairs of new events that name the same, one is chosen, and none where older events have made that pair already.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.ascending import among, runs
from dynmm.evidence.ragged import ranges
from dynmm.evidence.stretch import Stretch

_Places = NDArray[np.int64]


def first_of_pair(stretch: Stretch, earlier: _Places, later: _Places, window: int) -> NDArray[np.bool_]:
    """(P,) True for one pair of each kind whose user did not have both within the window before, in either order.

    earlier, later: (P,) places of the pairs' events.
    """
    names = _either_order(stretch.slots(earlier), stretch.slots(later))
    return _one_of_each(names, _made_together(stretch, window))


def first_to_follow(stretch: Stretch, earlier: _Places, later: _Places, within: int) -> NDArray[np.bool_]:
    """(P,) True for one pair of each kind whose user did not take the one within so many events of the other before."""
    names = (stretch.slots(earlier) << 32) | stretch.slots(later)
    return _one_of_each(names, _made_following(stretch, within))


def _one_of_each(names: NDArray[np.int64], made: NDArray[np.int64]) -> NDArray[np.bool_]:
    order = np.argsort(names)
    firsts = order[runs(names[order])]
    chosen = np.zeros(len(names), dtype=bool)
    chosen[firsts] = ~among(names[firsts], np.sort(made))
    return chosen


def _either_order(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    return (np.minimum(one, other) << 32) | np.maximum(one, other)


def _made_together(stretch: Stretch, window: int) -> NDArray[np.int64]:
    """Pairs of older events within the window, with an item that returns among the new ones."""
    old, slots, before = _returning(stretch)
    if not len(old):
        return old
    # What lies near several events of the same slot is looked at once.
    lowest = np.maximum(old - window, stretch.begins[old])
    start = np.where(before >= 0, np.maximum(lowest, before + window + 1), lowest)
    end = np.minimum(old + window + 1, stretch.fresh_begins[old])
    lengths = np.maximum(end - start, 0)
    own, other = np.repeat(slots, lengths), stretch.slots(ranges(start, lengths))
    others = own != other
    itself = slots[(before >= 0) & (old - before <= window)]
    return np.concatenate([_either_order(own[others], other[others]), _either_order(itself, itself)])


def _made_following(stretch: Stretch, within: int) -> NDArray[np.int64]:
    """Pairs of older events, the second within so many events of the first and an item that returns."""
    old, slots, _ = _returning(stretch)
    start = np.maximum(old - within, stretch.begins[old])
    own, other = np.repeat(slots, old - start), stretch.slots(ranges(start, old - start))
    return (other << 32) | own


def _returning(stretch: Stretch) -> tuple[_Places, NDArray[np.int64], _Places]:
    """Older events whose item their user takes again among the new ones, slot by slot.

    Their places, their slots, and the place of the same slot's event before each, or -1.
    """
    assert stretch.repeated is not None
    twice = np.flatnonzero(stretch.repeated)
    is_new = twice >= stretch.fresh_begins[twice]
    slots = stretch.slots(twice)
    back = ~is_new & among(slots, np.sort(slots[is_new]))
    order = np.argsort(slots[back], kind="stable")
    old, slots = twice[back][order], slots[back][order]
    before = np.full(len(old), -1, dtype=np.int64)
    same = slots[1:] == slots[:-1]
    before[1:][same] = old[:-1][same]
    return old, slots, before
