"""Reference explanations that came with a data set: why a user would take an item, in somebody's words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from dynmm.errors import DataError, EmptyDataError
from dynmm.interactions.columns import need_columns, typed
from dynmm.interactions.fields import EXPLANATIONS_FILE, ITEM, USER
from dynmm.interactions.tables import read_parquet

TEXT = "text"
SOURCE = "source"


def read_explanations(folder: str | Path, *, also: Sequence[str] = ()) -> pl.DataFrame:
    """`explanations.parquet` of a data set folder: user_id, item_id, text, source, and the text columns of `also`.

    source: who wrote the text; it must be told wherever the text is shown. Users and items need not be known to the
    data set. Raises DataError for a missing file or column, an empty cell, and a second text for the same user and
    item; EmptyDataError where there is none.
    """
    path = Path(folder) / EXPLANATIONS_FILE
    names = [USER, ITEM, TEXT, SOURCE, *also]
    table = read_parquet(path)
    need_columns(table.columns, names, str(path))
    if not table.height:
        raise EmptyDataError(f"{path}: there are no rows; remove the file or write at least one explanation")
    frame = pl.DataFrame([typed(table[name], name, pl.String(), str(path)) for name in names])
    for name in names:
        empty = frame[name].is_null() | (frame[name].str.strip_chars() == "").fill_null(False)
        if empty.any():
            row = empty.arg_max() or 0
            raise DataError(f"{path}, row {row}, column {name!r}: it is empty; fill it in or remove the row")
    again = ~frame.select(pl.struct(USER, ITEM).is_first_distinct().alias(USER))[USER]
    if again.any():
        row = again.arg_max() or 0
        user, item = frame[USER][row], frame[ITEM][row]
        raise DataError(
            f"{path}, row {row}: user {user!r} and item {item!r} stand in an earlier row too; keep one text for both"
        )
    return frame
