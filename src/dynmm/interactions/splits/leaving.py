"""A split without one of its users: their events and their id are gone, and everybody else is as they were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dynmm.interactions.splits.deletion import after_deletion
from dynmm.interactions.splits.split import Split
from dynmm.interactions.vocabulary import Vocabulary


def without_user(split: Split, user: str) -> Split:
    """The split after a deletion. user: known to `split.source`. Dense ids of later users move down by one."""
    source = split.source
    dense = source.users.encode(user, what="user")
    kept = source.events.users != dense
    left = source.keep(kept, validation=None)
    users = left.events.users - (left.events.users > dense).astype(np.int32)
    names = [*source.users.ids[:dense], *source.users.ids[dense + 1 :]]
    offsets = np.delete(left.offsets, dense + 1)
    smaller = replace(
        left, users=Vocabulary(names), events=replace(left.events, users=users.astype(np.int32)), offsets=offsets
    )
    return after_deletion(split.name, smaller, split.parts[kept])
