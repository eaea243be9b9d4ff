"""A data set in memory: vocabularies, events in chronological order within each user, and item texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dynmm.interactions.fields import TimeResolution
from dynmm.interactions.vocabulary import Vocabulary
from dynmm.types import Events, IntArray, UserHistory

if TYPE_CHECKING:
    from dynmm.interactions.cases import Cases


#: With a smaller share of repeats in the training events, what a user had is neither recommended again in a
#: stream nor scored by the backbone. One number for both: what was never scored must not come back.
HARDLY_ANY_REPEATS = 0.01


@dataclass(frozen=True)
class DatasetInfo:
    """What `dataset.json` says. noun and verb word the rationales: "films" that people "watched"."""

    name: str = "data"
    noun: str = "item"
    verb: str = "chose"
    time_resolution: TimeResolution = "none"
    licence: str = ""
    notes: str = ""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Validated interactions of U users with I items.

    events: N rows, grouped by user in dense order and chronological within each user. offsets: (U+1,)
    int64, user u's rows are `events[offsets[u]:offsets[u+1]]`. item_table: I rows in dense order, with the
    columns of `fields.ITEM_SCHEMA` and any further attribute. given_split: (N,) strings where the
    data came with a split of its own. validation: cases that may select but not train, set by a split.
    left_out: what validation, filters or k-core removed, by reason. folder: where media and features lie.
    media: distinct (item_id, modality) pairs of the pictures and sounds that the data came with. media_rows:
    the pictures and sounds themselves, where they were given as a table in memory: item_id, modality, format, bytes.
    """

    info: DatasetInfo
    users: Vocabulary
    items: Vocabulary
    events: Events
    offsets: NDArray[np.int64]
    item_table: pl.DataFrame
    given_split: NDArray[np.str_] | None = None
    validation: Cases | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    folder: Path | None = None
    media: pl.DataFrame | None = None
    media_rows: pl.DataFrame | None = None

    @property
    def n_users(self) -> int:
        return len(self.users)

    @property
    def n_items(self) -> int:
        return len(self.items)

    @property
    def has_time(self) -> bool:
        """True where every event has a timestamp."""
        return self.info.time_resolution in ("second", "day")

    @property
    def has_order(self) -> bool:
        """True where the order within each user is known."""
        return self.info.time_resolution in ("second", "day", "order")

    def history(self, user: int) -> UserHistory:
        """All events of one dense user, oldest first."""
        rows = slice(self.offsets[user], self.offsets[user + 1])
        times = self.events.timestamps
        return UserHistory(self.events.items[rows], None if times is None else times[rows])

    def item_counts(self) -> NDArray[np.int64]:
        """(I,) number of events of each item."""
        return np.bincount(self.events.items, minlength=self.n_items)

    def repeat_share(self) -> float:
        """The share of events in which a user takes an item again; zero without events."""
        if not len(self.events):
            return 0.0
        pairs = self.events.users.astype(np.int64) * self.n_items + self.events.items
        return 1.0 - len(np.unique(pairs)) / len(pairs)

    def keep(self, rows: NDArray[np.bool_], **changes: Any) -> Dataset:
        """The same vocabularies with only the chosen events. rows: (N,) bool mask."""
        events = self.events.take(rows)
        counts = np.bincount(events.users, minlength=self.n_users)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        given = None if self.given_split is None else self.given_split[rows]
        return replace(self, events=events, offsets=offsets, given_split=given, **changes)

    def in_time_order(self) -> IntArray:
        """(N,) row numbers by timestamp; ties, and rows without a time, keep the order of user, then position."""
        times = self.events.timestamps
        return np.arange(len(self.events)) if times is None else np.argsort(times, kind="stable")

    @classmethod
    def from_frames(
        cls,
        interactions: Any,
        items: Any = None,
        media: Any = None,
        *,
        info: DatasetInfo | None = None,
        min_rating: float | None = None,
        kinds: Sequence[str] | None = None,
        skip_bad: bool = False,
    ) -> Dataset:
        """From polars, pandas or pyarrow tables in the canonical schema. See `interactions.loading`."""
        from dynmm.interactions.loading import dataset_from_frames

        return dataset_from_frames(
            interactions, items, media, info=info, min_rating=min_rating, kinds=kinds, skip_bad=skip_bad
        )

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        min_rating: float | None = None,
        kinds: Sequence[str] | None = None,
        skip_bad: bool = False,
    ) -> Dataset:
        """From a canonical folder. See `interactions.loading.load_dataset`."""
        from dynmm.interactions.loading import load_dataset

        return load_dataset(Path(folder), min_rating=min_rating, kinds=kinds, skip_bad=skip_bad)
