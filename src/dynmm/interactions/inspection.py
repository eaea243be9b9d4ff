"""What a data set holds, and what it can be used for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dynmm.interactions.columns import need_columns, typed
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.fields import BRAND, CATEGORIES, DESCRIPTION, FEATURES_DIR, ITEM, MODALITY, TITLE, YEAR
from dynmm.interactions.tables import parquet_columns, read_parquet
from dynmm.interactions.uses import Use, uses_of

_QUANTILES = {"min": 0.0, "25%": 0.25, "50%": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}
_MODALITIES = ("image", "audio")


@dataclass(frozen=True)
class Inspection:
    """The facts of a data set. Shares are between 0 and 1.

    density: distinct (user, item) pairs over all pairs. repeats_share: events whose user had taken the item
    before. ties_share: events with a timestamp that another event of the same user has too; None without
    timestamps. head_share: share of the events that fall on the most popular tenth of the items. coverage:
    for each modality or file of features, the items that have it.
    """

    name: str
    users: int
    items: int
    items_with_events: int
    events: int
    density: float
    time_resolution: str
    first: str | None
    last: str | None
    span_days: float | None
    events_per_user: dict[str, float]
    events_per_item: dict[str, float]
    users_with_one_event: int
    repeats_share: float
    ties_share: float | None
    head_share: float
    rated_share: float
    coverage: dict[str, int]
    given_split: dict[str, int]
    left_out: dict[str, int]
    uses: tuple[Use, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def inspect(dataset: Dataset) -> Inspection:
    """Count and try: each use in `uses` was attempted, so that its reason is the one that a fit would give."""
    per_user = np.diff(dataset.offsets)
    per_item = dataset.item_counts()
    present = per_item[per_item > 0]
    first, last, days = _span(dataset)
    pairs = _distinct_pairs(dataset)
    ratings = dataset.events.ratings
    parts = dataset.given_split
    return Inspection(
        name=dataset.info.name,
        users=dataset.n_users,
        items=dataset.n_items,
        items_with_events=len(present),
        events=len(dataset.events),
        density=pairs / (dataset.n_users * dataset.n_items),
        time_resolution=dataset.info.time_resolution,
        first=first,
        last=last,
        span_days=days,
        events_per_user=_quantiles(per_user),
        events_per_item=_quantiles(present),
        users_with_one_event=int((per_user == 1).sum()),
        repeats_share=1 - pairs / len(dataset.events),
        ties_share=_ties_share(dataset),
        head_share=head_share(per_item),
        rated_share=0.0 if ratings is None else float(np.isfinite(ratings).mean()),
        coverage=_coverage(dataset),
        given_split={} if parts is None else {str(part): int((parts == part).sum()) for part in np.unique(parts)},
        left_out=dict(dataset.left_out),
        uses=uses_of(dataset),
    )


def head_share(per_item: NDArray[np.int64]) -> float:
    """Share of the events on the most popular tenth (rounded up) of the items that have events."""
    ranked = np.sort(per_item[per_item > 0])[::-1]
    return float(ranked[: -(-len(ranked) // 10)].sum() / ranked.sum())


def _distinct_pairs(dataset: Dataset) -> int:
    pairs = pl.Series(dataset.events.users.astype(np.int64) * dataset.n_items + dataset.events.items)
    return int(pairs.n_unique())


def _quantiles(counts: NDArray[np.int64]) -> dict[str, float]:
    return {name: float(np.quantile(counts, share)) for name, share in _QUANTILES.items()}


def _span(dataset: Dataset) -> tuple[str | None, str | None, float | None]:
    times = dataset.events.timestamps
    if times is None or not dataset.has_time:
        return None, None, None
    first, last = int(times.min()), int(times.max())
    words = [datetime.fromtimestamp(moment / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (first, last)]
    return words[0], words[1], (last - first) / 86_400_000


def _ties_share(dataset: Dataset) -> float | None:
    times = dataset.events.timestamps
    if times is None or not dataset.has_time:
        return None
    users = dataset.events.users
    as_before = (times[1:] == times[:-1]) & (users[1:] == users[:-1])
    tied = np.zeros(len(times), bool)
    tied[1:] |= as_before
    tied[:-1] |= as_before
    return float(tied.mean())


def _has_text(name: str) -> pl.Expr:
    return (pl.col(name).str.strip_chars() != "").fill_null(False)


def _coverage(dataset: Dataset) -> dict[str, int]:
    table = dataset.item_table
    filled = {
        TITLE: _has_text(TITLE),
        DESCRIPTION: _has_text(DESCRIPTION),
        BRAND: _has_text(BRAND),
        CATEGORIES: (pl.col(CATEGORIES).list.len() > 0).fill_null(False),
        YEAR: pl.col(YEAR).is_not_null(),
    }
    counts = table.select((filled[TITLE] | filled[DESCRIPTION]).alias("text"), **filled).sum()
    covered = {str(name): int(count) for name, count in counts.row(0, named=True).items()}
    for modality in _MODALITIES:
        rows = None if dataset.media is None else dataset.media.filter(pl.col(MODALITY) == modality)
        covered[modality] = 0 if rows is None else rows.join(table.select(ITEM), on=ITEM, how="semi").height
    if dataset.folder is not None:
        for path in sorted((dataset.folder / FEATURES_DIR).glob("*.parquet")):
            need_columns(parquet_columns(path), (ITEM,), str(path))
            rows = read_parquet(path, [ITEM])
            ids = typed(rows[ITEM], ITEM, pl.String(), str(path)).unique().to_frame()
            covered[f"{FEATURES_DIR}/{path.stem}"] = ids.join(table.select(ITEM), on=ITEM, how="semi").height
    return covered
