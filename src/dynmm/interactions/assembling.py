"""Text ids become dense integers, rows become events in chronological order within each user."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from dynmm.errors import DataError
from dynmm.interactions.dataset import Dataset, DatasetInfo
from dynmm.interactions.fields import ITEM, KIND, POSITION, RATING, SPLIT, TIME, USER, WEIGHT, TimeResolution
from dynmm.interactions.info import infer_resolution
from dynmm.interactions.itemtable import catalogue
from dynmm.interactions.ordering import in_order
from dynmm.interactions.validation import SPLIT_WORDS
from dynmm.interactions.vocabulary import Vocabulary
from dynmm.types import NO_TIME, Events

log = logging.getLogger(__name__)

#: The parts of a given split, in the order of their codes.
PARTS = ("train", "val", "test")


def assemble(
    holder: list[pl.DataFrame],
    items: pl.DataFrame | None,
    info: DatasetInfo,
    resolution: TimeResolution | None,
    left_out: dict[str, int],
    where: str,
    folder: Path | None,
    media: pl.DataFrame | None,
) -> Dataset:
    """A data set of validated rows. holder: a list of the one frame, emptied here so that its text is freed.

    resolution: what the data set says of time, None to see for ourselves. Rows that repeat an event exactly
    (user, item, timestamp, position, kind) are left out and counted in `left_out`.
    """
    users = holder[0][USER].unique().sort()
    table = catalogue(holder[0][ITEM].unique(), items)
    frame = _dense(holder.pop(), users, table[ITEM])
    resolution = resolution or _seen_resolution(frame)
    _check_order(frame, resolution, where)
    frame, repeated = in_order(frame, resolution)
    if repeated:
        left_out = {**left_out, "exact duplicates of an earlier row": repeated}
    counts = np.bincount(frame[USER].to_numpy(), minlength=len(users))
    return Dataset(
        info=replace(info, time_resolution=resolution),
        users=Vocabulary(users.to_list()),
        items=Vocabulary(table[ITEM].to_list()),
        events=_events(frame, resolution),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        item_table=table,
        given_split=np.array(PARTS)[frame[SPLIT].to_numpy()] if SPLIT in frame.columns else None,
        left_out=left_out,
        folder=folder,
        media=media,
    )


def _dense(frame: pl.DataFrame, users: pl.Series, items: pl.Series) -> pl.DataFrame:
    """The frame with integers in place of all text."""
    codes = [
        frame[USER].cast(pl.Enum(users)).to_physical().cast(pl.Int32),
        frame[ITEM].cast(pl.Enum(items)).to_physical().cast(pl.Int32),
    ]
    codes += [frame[name] for name in (TIME, POSITION, RATING, WEIGHT) if name in frame.columns]
    if KIND in frame.columns:
        codes.append(frame[KIND].cast(pl.Enum(frame[KIND].drop_nulls().unique().sort())).to_physical())
    if SPLIT in frame.columns:
        part = frame[SPLIT].str.to_lowercase().replace_strict(SPLIT_WORDS, return_dtype=pl.Enum(PARTS))
        codes.append(part.to_physical().cast(pl.Int8))
    return pl.DataFrame(codes)


def _seen_resolution(frame: pl.DataFrame) -> TimeResolution:
    times = frame[TIME] if TIME in frame.columns else None
    timed = np.zeros(frame.height, bool) if times is None else times.is_not_null().to_numpy()
    placed = frame[POSITION].is_not_null().to_numpy() if POSITION in frame.columns else np.zeros(frame.height, bool)
    complete = times is not None and times.null_count() == 0
    return infer_resolution(times.to_numpy() if times is not None and complete else None, timed, placed)


def _check_order(frame: pl.DataFrame, resolution: TimeResolution, where: str) -> None:
    if resolution != "order":
        return
    missing = frame[POSITION].null_count() if POSITION in frame.columns else frame.height
    if missing == frame.height:
        raise DataError(
            f"{where}: time_resolution is 'order' but no row has a position; fill in column {POSITION!r}, "
            "or say time_resolution 'none'"
        )
    if missing:
        log.warning(
            "%s: %s rows have no position, so their place is not known: they stand first in their user's history",
            where,
            f"{missing:,}",
        )


def _events(frame: pl.DataFrame, resolution: TimeResolution) -> Events:
    """Timestamps are kept where all rows have one, or some have and no order replaces them."""

    def numbers(name: str) -> np.ndarray | None:
        if name not in frame.columns or frame[name].null_count() == frame.height:
            return None
        return frame[name].fill_null(float("nan")).to_numpy()

    times = None
    if resolution in ("second", "day", "partial") and TIME in frame.columns:
        times = frame[TIME].fill_null(NO_TIME).to_numpy()
    return Events(frame[USER].to_numpy(), frame[ITEM].to_numpy(), times, numbers(RATING), numbers(WEIGHT))
