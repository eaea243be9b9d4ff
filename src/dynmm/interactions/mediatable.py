"""The table of media: which item has which modality, and the bytes where they came in memory."""

from __future__ import annotations

import polars as pl

from dynmm.errors import DataError, first_line
from dynmm.interactions.columns import need_columns
from dynmm.interactions.fields import BYTES, FORMAT, ITEM, MODALITY


def coverage(tables: list[tuple[pl.DataFrame, str]]) -> pl.DataFrame | None:
    """Distinct (item_id, modality) pairs of all tables, each with its name for errors; None without a table.

    Raises DataError.
    """
    pairs = []
    for table, where in tables:
        need_columns(table.columns, (ITEM, MODALITY), where)
        pairs.append(labels(table, where).select(ITEM, MODALITY))
    return pl.concat(pairs).unique().sort(ITEM, MODALITY) if pairs else None


def media_rows(table: pl.DataFrame, where: str) -> pl.DataFrame:
    """item_id, modality, format ("" where none is said) and bytes of a table in memory.

    Raises DataError.
    """
    need_columns(table.columns, (ITEM, MODALITY), where)
    if BYTES not in table.columns:
        raise DataError(
            f"{where}: column {BYTES!r} is missing (columns: {', '.join(table.columns)}); a table in memory holds the "
            "content of each file. Files that are listed by their path are read from a folder, with Dataset.load"
        )
    if table[BYTES].dtype not in (pl.Binary, pl.Null):
        raise DataError(
            f"{where}, column {BYTES!r}: {table[BYTES].dtype} is no binary column; "
            "put the content of each file into its row, as bytes"
        )
    return labels(table, where).with_columns(table[BYTES].cast(pl.Binary))


def labels(table: pl.DataFrame, where: str) -> pl.DataFrame:
    """item_id, modality and format ("" where none is said) of a table of media, as text. Raises DataError."""
    said = [_text(table[name], where) for name in (ITEM, MODALITY, FORMAT) if name in table.columns]
    found = pl.DataFrame(said)
    return found.with_columns(pl.col(FORMAT).fill_null("") if FORMAT in table.columns else pl.lit("").alias(FORMAT))


def _text(column: pl.Series, where: str) -> pl.Series:
    if column.dtype.is_nested() or column.dtype == pl.Object:
        raise DataError(f"{where}, column {column.name!r}: {column.dtype} is no text; write it as strings")
    try:
        # Bytes that are text come from writers of parquet that do not say so.
        return column.cast(pl.String)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{where}, column {column.name!r}: {column.dtype} is no text ({first_line(error)}); write it as strings"
        ) from error
