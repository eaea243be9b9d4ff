"""Tables from wherever they come: polars, pandas, pyarrow or a parquet file, as one polars frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from dynmm.errors import DataError


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The table of a parquet file, with only those of `columns` that it has. Raises DataError."""
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; a data set folder needs {path.name}")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty (0 bytes); write it again as a parquet table")
    try:
        if columns is None:
            return pl.read_parquet(path)
        present = parquet_columns(path)
        return pl.read_parquet(path, columns=[name for name in columns if name in present])
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, error) from error


def parquet_columns(path: Path) -> dict[str, pl.DataType]:
    """Names and types of a parquet file's columns, read from its footer alone. Raises DataError."""
    try:
        return dict(pl.read_parquet_schema(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, error) from error


def as_polars(frame: Any, where: str) -> pl.DataFrame:
    """A polars frame of any table that polars, pandas or pyarrow call one, or of a list with a mapping for each row.

    `where` names it in the error. Raises DataError.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    library = type(frame).__module__.split(".")[0]
    try:
        if library == "pandas":
            return _from_pandas(frame)
        if library == "pyarrow" or hasattr(frame, "__arrow_c_stream__") or isinstance(frame, dict):
            return pl.DataFrame(frame)
        if isinstance(frame, list) and all(isinstance(row, Mapping) for row in frame):
            return pl.DataFrame(frame, infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise DataError(
            f"{where}: the table cannot be read ({_first_line(error)}); give each column one type"
        ) from error
    raise DataError(f"{where}: a {type(frame).__name__} is not a table; give a polars, pandas or pyarrow table")


def _from_pandas(frame: Any) -> pl.DataFrame:
    try:
        return pl.DataFrame(pl.from_pandas(frame))
    except ImportError:  # polars reads text columns of pandas through pyarrow, which need not be installed
        return pl.DataFrame({str(name): _column(frame[name]) for name in frame.columns})


def _column(series: Any) -> Any:
    if series.dtype.kind in "biufM":
        return pl.Series(series.to_numpy(), nan_to_null=True)
    return [None if one is None or one != one else one for one in series.tolist()]


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: this is not a readable parquet file ({_first_line(error)}); write it again")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
