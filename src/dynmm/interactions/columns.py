"""Types at the door: each column of a table takes its type of `fields`, or one error says why not."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from dynmm.errors import DataError
from dynmm.interactions.fields import CATEGORIES, INTERACTION_SCHEMA, ITEM, ITEM_SCHEMA, POSITION, TIME, USER, YEAR

_TEXT = (pl.String, pl.Categorical, pl.Enum)


def interaction_columns(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """The interaction columns that the frame has, each in its type, in the order of the schema.

    Integers become decimal strings in the id columns; dates and datetimes (UTC where they have no zone)
    become milliseconds. Raises DataError.
    """
    need_columns(frame.columns, (USER, ITEM), where)
    return frame.select(
        typed(frame[name], name, dtype, where) for name, dtype in INTERACTION_SCHEMA.items() if name in frame.columns
    )


def item_columns(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """The item table: columns of the schema, null where absent, then every further column as it is."""
    need_columns(frame.columns, (ITEM,), where)
    known = [
        typed(frame[name], name, dtype, where)
        if name in frame.columns
        else pl.Series(name, [None], dtype=dtype).new_from_index(0, frame.height)
        for name, dtype in ITEM_SCHEMA.items()
    ]
    return pl.DataFrame(known).hstack([frame[name] for name in frame.columns if name not in ITEM_SCHEMA])


def need_columns(present: Iterable[str], needed: Iterable[str], where: str) -> None:
    """Raises DataError where a needed column is missing."""
    have = list(present)
    for name in needed:
        if name not in have:
            raise DataError(f"{where}: column {name!r} is missing (columns: {', '.join(have) or 'none'}); add it")


def typed(column: pl.Series, name: str, dtype: pl.DataType, where: str) -> pl.Series:
    """The column in the type that it must have. Raises DataError naming the first value that does not fit."""
    if column.dtype == dtype:
        return column
    if column.dtype == pl.Null:
        return pl.Series(name, [None], dtype=dtype).new_from_index(0, len(column))
    if name in (USER, ITEM):
        return _identifier(column, name, where)
    if name == TIME and column.dtype.is_temporal() and column.dtype.base_type() in (pl.Date, pl.Datetime):
        return column.dt.epoch("ms")
    if name in (TIME, POSITION, YEAR):
        return _whole_numbers(column, name, dtype, where)
    if name == CATEGORIES:
        return _texts_in_lists(column, name, dtype, where)
    if dtype == pl.Float32():
        return _numbers(column, name, where)
    if column.dtype.base_type() in _TEXT:
        return column.cast(pl.String)
    raise _wrong_type(column, name, "text", "write it as strings", where)


def _identifier(column: pl.Series, name: str, where: str) -> pl.Series:
    if column.dtype.is_integer() or column.dtype.base_type() in _TEXT:
        return column.cast(pl.String)
    raise _wrong_type(column, name, "text or whole numbers", "write ids as strings or integers", where)


def _whole_numbers(column: pl.Series, name: str, dtype: pl.DataType, where: str) -> pl.Series:
    mend = "write whole milliseconds since 1970 UTC" if name == TIME else "write whole numbers"
    if not column.dtype.is_numeric():
        raise _wrong_type(column, name, "whole numbers", mend, where)
    if column.dtype.is_float():  # pandas turns integers with gaps into floats
        column = column.fill_nan(None)
        broken = (column != column.round()).fill_null(False) | column.is_infinite().fill_null(False)
        if broken.any():
            raise _bad_value(column, broken, name, "is not a whole number", mend, where)
    cast = column.cast(dtype, strict=False)
    if cast.null_count() > column.null_count():
        raise _bad_value(column, cast.is_null() & column.is_not_null(), name, f"does not fit {dtype}", mend, where)
    return cast


def _numbers(column: pl.Series, name: str, where: str) -> pl.Series:
    if column.dtype.is_numeric():
        return column.cast(pl.Float32)
    raise _wrong_type(column, name, "numbers", "write numbers, or leave the cell empty", where)


def _texts_in_lists(column: pl.Series, name: str, dtype: pl.DataType, where: str) -> pl.Series:
    inner = getattr(column.dtype, "inner", None)
    if inner is not None and (inner == pl.Null or inner.base_type() in _TEXT):
        return column.cast(dtype)
    raise _wrong_type(column, name, "lists of text", "write a list of strings in each row, one or more", where)


def _wrong_type(column: pl.Series, name: str, due: str, mend: str, where: str) -> DataError:
    row = column.is_not_null().arg_max() or 0
    return DataError(
        f"{where}, row {row}, column {name!r}: {_shown(column[row])} is {column.dtype}, {due} are due; {mend}"
    )


def _bad_value(column: pl.Series, bad: pl.Series, name: str, problem: str, mend: str, where: str) -> DataError:
    row = bad.arg_max() or 0
    return DataError(f"{where}, row {row}, column {name!r}: {_shown(column[row])} {problem}; {mend}")


def _shown(value: object) -> str:
    """A value on one line, however long or nested it is."""
    text = repr(value.to_list() if isinstance(value, pl.Series) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."
