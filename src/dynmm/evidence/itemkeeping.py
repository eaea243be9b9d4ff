"""Item statistics on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.items import ItemStatistics
from dynmm.evidence.keeping import insist, named_damage, read_arrays, write_arrays
from dynmm.evidence.seen import SeenPairs
from dynmm.evidence.timeline import Timeline
from dynmm.evidence.trend import ItemTrend, TrendSettings

_NAME = "items"


def save_items(statistics: ItemStatistics, folder: Path) -> None:
    """Write into an existing or new folder. Raises StorageError."""
    arrays: dict[str, NDArray[Any]] = {"events": statistics.events, "seen": statistics.seen.keys()}
    trend = statistics.trend
    if trend is not None:
        arrays |= {"times": trend.timeline.times, "pairs": trend.timeline.pairs}
    settings = None if trend is None else trend.settings.model_dump(mode="json")
    write_arrays(folder, _NAME, arrays, {"trend": settings})


def load_items(folder: Path) -> ItemStatistics:
    """Read what `save_items` wrote. Raises ArtefactError, which names the folder that cannot be used."""
    with named_damage(folder, "item statistics"):
        arrays, card = read_arrays(folder, _NAME)
        events, seen = arrays["events"], SeenPairs(arrays["seen"])
        users = np.bincount(seen.items(), minlength=len(events)).astype(np.int64)
        insist(len(users) == len(events), "items and their users")
        trend = None
        if card["trend"] is not None:
            insist(arrays["times"].shape == arrays["pairs"].shape, "times and events")
            timeline = Timeline(arrays["times"], arrays["pairs"])
            trend = ItemTrend(TrendSettings.model_validate(card["trend"]), timeline, len(events))
        return ItemStatistics(events, users, seen, trend)
