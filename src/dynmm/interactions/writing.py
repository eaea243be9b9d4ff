"""A canonical folder on disk, whole or absent: what importers and simulation write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from dynmm.errors import StorageError
from dynmm.interactions.columns import interaction_columns, item_columns
from dynmm.interactions.dataset import DatasetInfo
from dynmm.interactions.fields import (
    INFO_FILE,
    INTERACTION_SCHEMA,
    INTERACTIONS_FILE,
    ITEM,
    ITEMS_FILE,
    POSITION,
    TIME,
    USER,
)
from dynmm.interactions.info import check_resolution, infer_resolution, info_as_json
from dynmm.interactions.itemtable import checked_items
from dynmm.interactions.validation import check_rows, interaction_rules
from dynmm.storage import named_disk_errors, new_folder, write_json

_REQUIRED = (TIME, POSITION, "rating")


def check_target(folder: Path, overwrite: bool, source: Path | None = None) -> None:
    """Refuse, before any work, a folder that a data set must not replace. Raises StorageError.

    With `overwrite` a data set folder may be replaced, but nothing else, and never what is read from (`source`).
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not overwrite:
        raise StorageError(f"{folder} exists; choose another folder, or replace it with overwrite (--overwrite)")
    if not (folder / INTERACTIONS_FILE).is_file():
        raise StorageError(
            f"{folder} exists and is not a data set folder (it holds no {INTERACTIONS_FILE}); choose another folder, "
            "so that nothing of yours is replaced"
        )
    if source is not None and source.resolve().is_relative_to(folder.resolve()):
        raise StorageError(f"{folder} holds the source {source}, which would be lost; choose another folder")


def write_folder(
    folder: str | Path,
    interactions: pl.DataFrame,
    items: pl.DataFrame | None,
    info: DatasetInfo,
    extra: Mapping[str, pl.DataFrame] | None = None,
) -> None:
    """Write a data set folder that `load_dataset` reads; an existing one is replaced, on failure it stays.

    interactions, items: columns of `fields`, validated here; bad rows are refused. Where every row has a
    timestamp and none a position, positions are filled in: rank by timestamp within the user, equal
    timestamps in the order of the rows. info: time resolution "none" means "see what the columns show".
    extra: further tables by file name, e.g. ``{"users": frame, "features/image-clip": frame}``. The folder
    is the same bytes for the same input. Raises DataError, EmptyDataError, StorageError.
    """
    folder = Path(folder)
    name = str(folder / INTERACTIONS_FILE)
    if info.time_resolution != "none":
        check_resolution(info.time_resolution, str(folder / INFO_FILE))
    need_time = info.time_resolution in ("second", "day")
    rows = interaction_columns(interactions, name)
    check_rows(rows, interaction_rules(rows.columns, need_time=need_time), name, skip_bad=False)
    rows = _with_positions(_with_required(rows))
    table = None
    if items is not None:
        table, _ = checked_items(
            item_columns(items, str(folder / ITEMS_FILE)), str(folder / ITEMS_FILE), skip_bad=False
        )
    with new_folder(folder) as beside, named_disk_errors(folder):
        rows.write_parquet(beside / INTERACTIONS_FILE)
        if table is not None:
            table.write_parquet(beside / ITEMS_FILE)
        for key, frame in (extra or {}).items():
            path = beside / (key if key.endswith(".parquet") else f"{key}.parquet")
            path.parent.mkdir(parents=True, exist_ok=True)
            frame.write_parquet(path)
        write_json(beside / INFO_FILE, info_as_json(_with_resolution(info, rows), **_counts(rows, table)))


def _with_required(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns that the contract lists as always there, null where the source has none."""
    absent = [pl.lit(None, INTERACTION_SCHEMA[name]).alias(name) for name in _REQUIRED if name not in rows.columns]
    rows = rows.with_columns(absent)
    return rows.select(name for name in INTERACTION_SCHEMA if name in rows.columns)


def _with_positions(rows: pl.DataFrame) -> pl.DataFrame:
    if rows[TIME].null_count() or rows[POSITION].null_count() < rows.height:
        return rows
    rank = pl.col(TIME).rank("ordinal").over(USER) - 1
    return rows.with_columns(rank.cast(pl.Int32).alias(POSITION))


def _with_resolution(info: DatasetInfo, rows: pl.DataFrame) -> DatasetInfo:
    if info.time_resolution != "none":
        return info
    timed, placed = rows[TIME].is_not_null().to_numpy(), rows[POSITION].is_not_null().to_numpy()
    times: np.ndarray | None = rows[TIME].to_numpy() if timed.all() else None
    return DatasetInfo(
        info.name, info.noun, info.verb, infer_resolution(times, timed, placed), info.licence, info.notes
    )


def _counts(rows: pl.DataFrame, table: pl.DataFrame | None) -> dict[str, int]:
    ids = rows[ITEM].unique()
    catalogue = ids if table is None else pl.concat([ids, table[ITEM]]).unique()
    return {
        "users": rows[USER].n_unique(),
        "items": len(catalogue),
        "items_with_interactions": len(ids),
        "interactions": rows.height,
    }
