"""The data of a run as files: what is public in `model/`, what users did in `state/`.

Arrays are kept as parquet of dense integers. They were validated when they came in and are checked by
checksum when they are read, so reading trusts them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dynmm.interactions.dataset import Dataset, DatasetInfo
from dynmm.interactions.fields import INFO_FILE, ITEM, ITEMS_FILE, RATING, SPLIT, TIME, USER, USERS_FILE, WEIGHT
from dynmm.interactions.vocabulary import Vocabulary
from dynmm.storage import named_disk_errors, write_json
from dynmm.types import Events

EVENTS_FILE = "events.parquet"
LEARNED_FILE = "learned.parquet"
NEWCOMERS_FILE = "newcomers.parquet"
MEDIA_COVERAGE_FILE = "media-coverage.parquet"

_PART = "part"


def write_catalogue(folder: Path, dataset: Dataset) -> None:
    """The item map with texts, and what the data set calls its items: nothing of any user."""
    with named_disk_errors(folder):
        dataset.item_table.write_parquet(folder / ITEMS_FILE)
        if dataset.media is not None:
            dataset.media.write_parquet(folder / MEDIA_COVERAGE_FILE)
        write_json(folder / INFO_FILE, asdict(dataset.info))


def write_events(folder: Path, dataset: Dataset, parts: NDArray[np.int8]) -> None:
    """The user map and every event with the part that it has in the split. parts: (N,) int8."""
    with named_disk_errors(folder):
        pl.DataFrame({USER: list(dataset.users.ids)}, schema={USER: pl.String}).write_parquet(folder / USERS_FILE)
        frame = _frame(dataset.events).with_columns(pl.Series(_PART, parts))
        if dataset.given_split is not None:
            frame = frame.with_columns(pl.Series(SPLIT, dataset.given_split.tolist(), dtype=pl.String))
        frame.write_parquet(folder / EVENTS_FILE)


def write_added(folder: Path, table: pl.DataFrame) -> None:
    """Rows of the item table that came after the fit."""
    with named_disk_errors(folder):
        table.write_parquet(folder / ITEMS_FILE)


def read_added(folder: Path) -> pl.DataFrame:
    """What `write_added` wrote."""
    return pl.read_parquet(folder / ITEMS_FILE)


def read_dataset(model: Path, state: Path) -> tuple[Dataset, NDArray[np.int8]]:
    """The data set that was split, and the part of each of its events."""
    users = Vocabulary(pl.read_parquet(state / USERS_FILE)[USER].to_list())
    frame = pl.read_parquet(state / EVENTS_FILE)
    events = _events(frame)
    given = np.asarray(frame[SPLIT].to_list(), dtype=np.str_) if SPLIT in frame.columns else None
    return replace(read_catalogue(model, users, events), given_split=given), frame[_PART].to_numpy().astype(np.int8)


def read_catalogue(model: Path, users: Vocabulary, events: Events) -> Dataset:
    """The catalogue of `model/` around the given users and events (which may be none)."""
    table = pl.read_parquet(model / ITEMS_FILE)
    coverage = model / MEDIA_COVERAGE_FILE
    counts = np.bincount(events.users, minlength=len(users))
    return Dataset(
        info=DatasetInfo(**json.loads((model / INFO_FILE).read_text(encoding="utf-8"))),
        users=users,
        items=Vocabulary(table[ITEM].to_list()),
        events=events,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        item_table=table,
        media=pl.read_parquet(coverage) if coverage.is_file() else None,
    )


def read_learned(state: Path) -> tuple[list[str], list[Events]]:
    """Who came since the fit, and what was learned since, as one batch or none."""
    path, newcomers = state / LEARNED_FILE, state / NEWCOMERS_FILE
    users = pl.read_parquet(newcomers)[USER].to_list() if newcomers.is_file() else []
    return users, [_events(pl.read_parquet(path))] if path.is_file() else []


def _frame(events: Events) -> pl.DataFrame:
    columns: dict[str, NDArray[Any] | None] = {USER: events.users, ITEM: events.items, TIME: events.timestamps}
    columns |= {RATING: events.ratings, WEIGHT: events.weights}
    return pl.DataFrame({name: column for name, column in columns.items() if column is not None})


def _events(frame: pl.DataFrame) -> Events:
    def optional(name: str) -> NDArray[Any] | None:
        return column(name) if name in frame.columns else None

    def column(name: str) -> NDArray[Any]:
        return frame[name].to_numpy(writable=True)

    return Events(column(USER), column(ITEM), optional(TIME), optional(RATING), optional(WEIGHT))
