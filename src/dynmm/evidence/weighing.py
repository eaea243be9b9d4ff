"""How pairs are counted: the settings, and the whole numbers in which lag weights are summed.

Weights such as lag^-1/2 are rounded to whole multiples of a small unit, and sums are taken in whole numbers. So
a sum has the same bits in whatever order and in whatever portions its events came.
"""

from __future__ import annotations

import functools
import math
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from dynmm.configuration import Settings

#: `after` and `before` are summed in these units: a weight is off by at most 5e-7.
LAG_UNIT = 2.0**-20

#: Bits of a pair's code: its lag, and whether it is its user's first of the kind, together and as a follower.
LAG_BITS = 8
NEW_USER, NEW_FOLLOWER = 1 << LAG_BITS, 1 << (LAG_BITS + 1)
CODE_BITS = LAG_BITS + 2

_DAY_MS = 86_400_000


class PairSettings(Settings):
    """What counts as a pair of items, and whether pairs fade."""

    window: int = Field(50, ge=1, lt=1 << LAG_BITS, description="An event pairs with this many events before it.")
    within: int = Field(3, ge=1, le=10, description="An item follows another when it comes within so many events.")
    distance_power: float = Field(0.5, ge=0, description="A pair d events apart weighs d^-distance_power.")
    half_life_days: float | None = Field(
        None, gt=0, description="Days after which a pair's weights count half; null: they do not fade."
    )

    @model_validator(mode="after")
    def _following_is_near(self) -> Self:
        if self.within > self.window:
            raise ValueError(f"within ({self.within}) must not be more than window ({self.window})")
        return self

    @property
    def later_unit(self) -> float:
        """`later` is summed in these units, of which every 1 / lag is a whole multiple: it is exact."""
        return 1.0 / math.lcm(*range(1, self.within + 1))

    @property
    def half_life_ms(self) -> float | None:
        return None if self.half_life_days is None else self.half_life_days * _DAY_MS


@functools.lru_cache(maxsize=8)
def code_table(settings: PairSettings, *, ordered: bool) -> tuple[NDArray[np.int64], ...]:
    """What a pair adds to users, followed, first, later and after, each (codes,) whole numbers by its code.

    `later` counts in `settings.later_unit`, `after` in `LAG_UNIT`. Where the data has no order, each pair weighs 1
    and nothing follows anything.
    """
    codes = np.arange(1 << CODE_BITS)
    lags = np.maximum(codes & (NEW_USER - 1), 1)
    near = (lags >= 2) & (lags <= settings.within) & ordered
    powers = lags.astype(np.float64) ** -settings.distance_power if ordered else np.ones(len(lags))
    return (
        (codes & NEW_USER) // NEW_USER,
        (codes & NEW_FOLLOWER) // NEW_FOLLOWER,
        ((lags == 1) & ordered).astype(np.int64),
        np.where(near, np.rint(1.0 / (lags * settings.later_unit)), 0).astype(np.int64),
        np.rint(powers / LAG_UNIT).astype(np.int64),
    )
