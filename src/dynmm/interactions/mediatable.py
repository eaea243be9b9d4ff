"""The table of media: which item has which modality, and the bytes where they came in memory."""

from __future__ import annotations

import polars as pl

from dynmm.errors import DataError
from dynmm.interactions.columns import need_columns, typed
from dynmm.interactions.fields import BYTES, FORMAT, ITEM, MODALITY


def coverage(tables: list[tuple[pl.DataFrame, str]]) -> pl.DataFrame | None:
    """Distinct (item_id, modality) pairs of all tables, each with its name for errors; None without a table.

    Raises DataError.
    """
    pairs = []
    for table, where in tables:
        need_columns(table.columns, (ITEM, MODALITY), where)
        pairs.append(table.select(_text(table, name, where) for name in (ITEM, MODALITY)))
    return pl.concat(pairs).unique().sort(ITEM, MODALITY) if pairs else None


def media_rows(table: pl.DataFrame, where: str) -> pl.DataFrame | None:
    """item_id, modality, format ("" where none is said) and bytes of a table in memory; None without bytes.

    Raises DataError.
    """
    need_columns(table.columns, (ITEM, MODALITY), where)
    if BYTES not in table.columns:
        return None
    if table[BYTES].dtype not in (pl.Binary, pl.Null):
        raise DataError(
            f"{where}, column {BYTES!r}: {table[BYTES].dtype} is no binary column; "
            "put the content of each file into its row, as bytes"
        )
    label = pl.col(FORMAT).cast(pl.String).fill_null("") if FORMAT in table.columns else pl.lit("").alias(FORMAT)
    named = [_text(table, name, where) for name in (ITEM, MODALITY)]
    return table.select(*named, label, pl.col(BYTES).cast(pl.Binary))


def _text(table: pl.DataFrame, name: str, where: str) -> pl.Series:
    return typed(table[name], name, pl.String(), where)
