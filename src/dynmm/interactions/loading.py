"""From a folder or from tables to a validated `Dataset`: the one door that data comes in by."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from dynmm.errors import DataError
from dynmm.interactions.assembling import assemble
from dynmm.interactions.columns import interaction_columns, need_columns
from dynmm.interactions.contenthash import data_sha256
from dynmm.interactions.dataset import Dataset, DatasetInfo
from dynmm.interactions.fields import (
    INTERACTION_SCHEMA,
    INTERACTIONS_FILE,
    ITEM,
    ITEMS_FILE,
    MEDIA_DIR,
    MEDIA_FILE,
    MODALITY,
    TIME,
    WEIGHT,
    TimeResolution,
)
from dynmm.interactions.filters import apply_filters
from dynmm.interactions.info import check_resolution, read_info
from dynmm.interactions.itemtable import checked_items
from dynmm.interactions.mediafiles import media_files
from dynmm.interactions.mediatable import coverage, media_rows
from dynmm.interactions.tables import as_polars, parquet_columns, read_parquet
from dynmm.interactions.validation import check_rows, interaction_rules
from dynmm.interactions.writing import write_folder

__all__ = ["data_sha256", "dataset_from_frames", "load_dataset", "write_folder"]

log = logging.getLogger(__name__)


def load_dataset(
    folder: str | Path, *, min_rating: float | None = None, kinds: Sequence[str] | None = None, skip_bad: bool = False
) -> Dataset:
    """Read and validate a canonical folder; see `fields` for its files and columns.

    min_rating: rows rated lower, or not rated, are left out. kinds: only these kinds of events are read.
    skip_bad: bad rows are left out and counted instead of refused. Whatever is left out is counted in
    `Dataset.left_out` and logged. Raises DataError, EmptyDataError, UnsupportedByData.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; give a folder that holds {INTERACTIONS_FILE}")
    info, says_resolution = read_info(folder)
    path = folder / INTERACTIONS_FILE
    rows = read_parquet(path, list(INTERACTION_SCHEMA))
    _mention_extra_columns(path)
    items = read_parquet(folder / ITEMS_FILE) if (folder / ITEMS_FILE).is_file() else None
    return _build(
        _Door(rows, str(path), items, str(folder / ITEMS_FILE), _media_of(folder)),
        info,
        info.time_resolution if says_resolution else None,
        min_rating=min_rating,
        kinds=kinds,
        skip_bad=skip_bad,
        folder=folder,
    )


def dataset_from_frames(
    interactions: Any,
    items: Any = None,
    media: Any = None,
    *,
    info: DatasetInfo | None = None,
    min_rating: float | None = None,
    kinds: Sequence[str] | None = None,
    skip_bad: bool = False,
) -> Dataset:
    """Validate tables of polars, pandas or pyarrow with the columns of `fields`.

    media: item_id and modality, and format and bytes where the content of the files is at hand. The time
    resolution is what the columns show, unless `info` gives another than "none". Otherwise as `load_dataset`.
    """
    info = info or DatasetInfo()
    pictures_and_sounds = None if media is None else as_polars(media, "media")
    dataset = _build(
        _Door(
            as_polars(interactions, "interactions"),
            "interactions",
            None if items is None else as_polars(items, "items"),
            "items",
            [] if pictures_and_sounds is None else [(pictures_and_sounds, "media")],
        ),
        info,
        None if info.time_resolution == "none" else info.time_resolution,
        min_rating=min_rating,
        kinds=kinds,
        skip_bad=skip_bad,
        folder=None,
    )
    if pictures_and_sounds is None:
        return dataset
    return replace(dataset, media_rows=media_rows(pictures_and_sounds, "media"))


def _media_of(folder: Path) -> list[tuple[pl.DataFrame, str]]:
    """The tables that say which item has media: that of the folder, and the names of the files beside it."""
    path, files = folder / MEDIA_FILE, media_files(folder)
    named = [(read_parquet(path, [ITEM, MODALITY]), str(path))] if path.is_file() else []
    return named + ([(files, str(folder / MEDIA_DIR))] if files.height else [])


class _Door:
    """The tables that came in, with the name that each has in an error. Each is handed over only once,
    so that ten million rows of text are freed as soon as they are numbers."""

    def __init__(
        self,
        rows: pl.DataFrame,
        rows_name: str,
        items: pl.DataFrame | None,
        items_name: str,
        media: list[tuple[pl.DataFrame, str]],
    ) -> None:
        self._rows: pl.DataFrame | None = rows
        self.rows_name, self.items_name = rows_name, items_name
        self.items, self.media = items, media

    def take_rows(self) -> pl.DataFrame:
        rows, self._rows = self._rows, None
        assert rows is not None
        return rows


def _build(
    door: _Door,
    info: DatasetInfo,
    resolution: TimeResolution | None,
    *,
    min_rating: float | None,
    kinds: Sequence[str] | None,
    skip_bad: bool,
    folder: Path | None,
) -> Dataset:
    if resolution is not None:
        check_resolution(resolution, door.rows_name)
    rows = interaction_columns(door.take_rows(), door.rows_name)
    need_time = resolution in ("second", "day")
    if need_time:
        need_columns(rows.columns, (TIME,), door.rows_name)
    rules = interaction_rules(rows.columns, need_time=need_time)
    rows, left_out = check_rows(rows, rules, door.rows_name, skip_bad=skip_bad)
    rows, filtered = apply_filters(rows, door.rows_name, min_rating=min_rating, kinds=kinds)
    left_out |= filtered
    _mention_weights(rows, door.rows_name)
    items = None
    if door.items is not None:
        items, bad_items = checked_items(door.items, door.items_name, skip_bad=skip_bad)
        left_out |= bad_items
    dataset = assemble([rows], items, info, resolution, left_out, door.rows_name, folder, coverage(door.media))
    for reason, count in dataset.left_out.items():
        log.warning("%s: left out %s rows: %s", door.rows_name, f"{count:,}", reason)
    return dataset


def _mention_weights(rows: pl.DataFrame, where: str) -> None:
    if WEIGHT in rows.columns and rows[WEIGHT].drop_nulls().n_unique() > 1:
        log.warning(
            "%s: the weights in column %r are kept and read by nothing yet: every event counts alike", where, WEIGHT
        )


def _mention_extra_columns(path: Path) -> None:
    extra = [name for name in parquet_columns(path) if name not in INTERACTION_SCHEMA]
    if extra:
        log.warning("%s: columns that are not part of the schema are not read: %s", path, ", ".join(extra))
