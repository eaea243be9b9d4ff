"""Every column and file name of the canonical data set folder, in one place."""

from __future__ import annotations

from typing import Literal, get_args

import polars as pl

USER = "user_id"
ITEM = "item_id"
TIME = "timestamp"
#: The id under which an event is known again when it comes twice.
EVENT = "event_id"
POSITION = "position"
RATING = "rating"
KIND = "kind"
WEIGHT = "weight"
SPLIT = "split"

TITLE = "title"
DESCRIPTION = "description"
BRAND = "brand"
CATEGORIES = "categories"
YEAR = "year"

#: The attribute under which words of titles stand.
TITLE_WORD = "title word"

MODALITY = "modality"
VECTOR = "vector"
FORMAT = "format"
BYTES = "bytes"
PATH = "path"

INFO_FILE = "dataset.json"
INTERACTIONS_FILE = "interactions.parquet"
ITEMS_FILE = "items.parquet"
USERS_FILE = "users.parquet"
TAGS_FILE = "tags.parquet"
MEDIA_FILE = "media.parquet"
MEDIA_DIR = "media"
FEATURES_DIR = "features"
EXPLANATIONS_FILE = "explanations.parquet"

INTERACTION_SCHEMA: dict[str, pl.DataType] = {
    USER: pl.String(),
    ITEM: pl.String(),
    TIME: pl.Int64(),
    POSITION: pl.Int32(),
    RATING: pl.Float32(),
    KIND: pl.String(),
    WEIGHT: pl.Float32(),
    SPLIT: pl.String(),
}

ITEM_SCHEMA: dict[str, pl.DataType] = {
    ITEM: pl.String(),
    TITLE: pl.String(),
    DESCRIPTION: pl.String(),
    BRAND: pl.String(),
    CATEGORIES: pl.List(pl.String()),
    YEAR: pl.Int16(),
}

#: `second` and `day`: real timestamps. `order`: only the order within a user is known. `partial`: some
#: rows have timestamps. `none`: no order at all.
TimeResolution = Literal["second", "day", "order", "partial", "none"]
TIME_RESOLUTIONS: tuple[str, ...] = get_args(TimeResolution)

SplitName = Literal["none", "full", "holdout", "cold", "stream"]
SPLIT_NAMES: tuple[str, ...] = get_args(SplitName)
