"""From events to sums over pairs, without a loop over events or pairs.

Each new event meets the events before it within the window. A user counts once for a pair of items, however often
they repeat it. Only where a user has an item twice does that take looking: at the same pair among the new events,
and at the user's older ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.ascending import runs
from dynmm.evidence.firsts import first_of_pair, first_to_follow
from dynmm.evidence.pairtable import PairTable, grouped, no_pairs, table_of
from dynmm.evidence.ragged import ranges
from dynmm.evidence.stretch import Stretch
from dynmm.evidence.weighing import CODE_BITS, NEW_FOLLOWER, NEW_USER, PairSettings, code_table

_LOW = (1 << 32) - 1


def forward_sums(
    stretch: Stretch, settings: PairSettings, *, ordered: bool, scale: NDArray[np.float64] | None = None
) -> PairTable:
    """Sums over the pairs "item after source" that the new events make; `before` is 0.

    `users` counts each user in one of the pair's two directions, for `mirrored` to add. scale: (F,) the weight of
    each new event's pairs where pairs fade.
    """
    reach = np.minimum(stretch.fresh - stretch.begins[stretch.fresh], settings.window)
    later = np.repeat(stretch.fresh, reach)
    if not len(later):
        return no_pairs(fading=scale is not None)
    lags = ranges(np.ones_like(reach), reach)
    earlier = later - lags
    codes = _codes(stretch, earlier, later, lags, settings, ordered=ordered)
    sources, items = stretch.items[earlier], stretch.items[later]
    table = code_table(settings, ordered=ordered)
    if scale is None:
        return _summed_by_code(sources, items, codes, table)
    users, followed, first, nearby, after = (column[codes] for column in table)
    weight = np.repeat(scale, reach)
    columns = (users, followed, first * weight, nearby * weight, after * weight, np.zeros_like(weight))
    return grouped((sources << 32) | items, columns)


def _codes(
    stretch: Stretch,
    earlier: NDArray[np.int64],
    later: NDArray[np.int64],
    lags: NDArray[np.int64],
    settings: PairSettings,
    *,
    ordered: bool,
) -> NDArray[np.int64]:
    """(P,) each pair's lag, and whether it is the one that its user is counted for."""
    near = lags <= settings.within if ordered else np.zeros(len(lags), dtype=bool)
    if stretch.repeated is None:
        return lags | NEW_USER | np.where(near, NEW_FOLLOWER, 0)
    doubtful = stretch.repeated[later] | stretch.repeated[earlier]
    together = ~doubtful
    together[doubtful] = first_of_pair(stretch, earlier[doubtful], later[doubtful], settings.window)
    following = near & ~doubtful
    asked = near & doubtful
    following[asked] = first_to_follow(stretch, earlier[asked], later[asked], settings.within)
    return lags | np.where(together, NEW_USER, 0) | np.where(following, NEW_FOLLOWER, 0)


def _summed_by_code(
    sources: NDArray[np.int64], items: NDArray[np.int64], codes: NDArray[np.int64], table: tuple[NDArray[np.int64], ...]
) -> PairTable:
    span = int(max(sources.max(), items.max())) + 1
    if (span * span) << CODE_BITS >= 1 << 63:
        plain = [column[codes] for column in table]
        return grouped((sources << 32) | items, [*plain, np.zeros_like(codes)])
    # Sorting the codes along within the same integers is several times faster than sorting places.
    packed = ((sources * span + items) << CODE_BITS) | codes
    packed.sort()
    cells, codes = packed >> CODE_BITS, packed & ((1 << CODE_BITS) - 1)
    begins = runs(cells)
    cells = cells[begins]
    users, _, _, _, after = table
    together, weights = (np.add.reduceat(column[codes], begins) for column in (users, after))
    columns = (together, *_near_sums(codes, begins, table), weights, np.zeros_like(cells))
    return table_of((cells // span << 32) | cells % span, columns)


def _near_sums(
    codes: NDArray[np.int64], begins: NDArray[np.int64], table: tuple[NDArray[np.int64], ...]
) -> list[NDArray[np.int64]]:
    """Sums of followed, first and later, to which only the few pairs at small lags add."""
    _, followed, first, later, _ = table
    near = np.flatnonzero(((first | later) > 0)[codes])
    homes = np.searchsorted(begins, near, side="right") - 1
    # Sums of so few bits are exact in float64.
    sums = (np.bincount(homes, column[codes[near]], len(begins)) for column in (followed, first, later))
    return [column.astype(np.int64) for column in sums]
