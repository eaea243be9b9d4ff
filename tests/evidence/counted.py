"""Pair statistics as their definition says, in plain loops: what the fast ones are held against."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import strategies as st

from dynmm.evidence.weighing import LAG_UNIT, PairSettings

Log = list[tuple[int, int]]
Counts = dict[tuple[int, int], dict[str, float]]

#: User and item of each event, in order. Few of both, so that users repeat items.
LOGS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 8)), max_size=40)


def histories_of(log: Log, n_users: int = 0) -> list[list[int]]:
    """Each user's items, oldest first."""
    found: list[list[int]] = [[] for _ in range(max(n_users, 1 + max((user for user, _ in log), default=-1)))]
    for user, item in log:
        found[user].append(item)
    return found


def counted(histories: list[list[int]], settings: PairSettings, *, ordered: bool = True) -> Counts:
    """Every column of every ordered pair, (source, item) -> name -> value."""
    found: Counts = defaultdict(lambda: defaultdict(float))
    for items in histories:
        together, followed = set(), set()
        for place, item in enumerate(items):
            for lag in range(1, min(place, settings.window) + 1):
                source = items[place - lag]
                weight = np.rint(lag**-settings.distance_power / LAG_UNIT) * LAG_UNIT if ordered else 1.0
                found[source, item]["after"] += weight
                found[item, source]["before"] += weight
                together |= {(source, item), (item, source)}
                if ordered and lag <= settings.within:
                    followed.add((source, item))
                    found[source, item]["first" if lag == 1 else "later"] += 1 / lag
        for pair in together:
            found[pair]["users"] += 1
        for pair in followed:
            found[pair]["followed"] += 1
    return found
