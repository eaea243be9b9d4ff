"""Reading csv, tsv and MovieLens' double-colon files as text, fast where the file is sound."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from dynmm.errors import ConfigError, DataError
from dynmm.interactions.importers.files import (
    existing,
    is_gzip,
    is_utf8,
    open_binary,
    require_content,
)
from dynmm.interactions.importers.records import records_of
from dynmm.interactions.importers.table import OVERFLOW, PROBLEM, ROW, Table

_NO_SEPARATOR = "\x01"


def read_delimited(
    path: Path,
    separator: str | None = None,
    *,
    columns: Sequence[str] | None = None,
    quote: str | None = '"',
    latin1: bool = False,
) -> Table:
    """A table of one-character-separated values.

    columns: the names of a file without a header; None reads them from the first line. separator: None
    takes what the header has most of, among comma, tab, semicolon and bar. latin1: a file that is not
    UTF-8 is read as Latin-1. Raises DataError or EmptyDataError where there is no usable header.
    """
    require_content(existing(path))
    if separator is not None and len(separator.encode()) != 1:
        raise ConfigError(f"separator {separator!r} must be one character, or tab")
    header = _first_line(path)
    separator = separator or _likeliest_separator(header)
    names = tuple(columns) if columns else _header_names(path, header, separator)
    skip = 0 if columns else 1
    rows = pl.scan_csv(
        _bytes_for_polars(path, latin1),
        has_header=False,
        skip_rows=skip,
        separator=separator,
        quote_char=quote,
        schema=dict.fromkeys([*names, OVERFLOW], pl.String),
        truncate_ragged_lines=True,
        missing_columns="insert",
        row_index_name=ROW,
    )

    def line_of(row: int) -> int:
        if quote is None:
            return row + 1 + skip
        breaks = pl.sum_horizontal(pl.col(name).str.count_matches("\n", literal=True) for name in names)
        try:
            within = rows.filter(pl.col(ROW) < row).select(breaks.sum()).collect().item()
        except pl.exceptions.ComputeError:
            within = 0  # the repair numbers its rows by their lines
        return row + 1 + skip + int(within)

    def repair() -> pl.LazyFrame:
        return _record_by_record(path, names, separator, quote, skip)

    return Table(path, rows, names, line_of, repair)


def read_double_colon(path: Path, columns: Sequence[str]) -> Table:
    """A table whose fields are parted by ``::``, without header and quoting, in UTF-8 or Latin-1."""
    require_content(existing(path))
    lines = pl.scan_csv(
        _bytes_for_polars(path, latin1=True),
        has_header=False,
        separator=_NO_SEPARATOR,
        quote_char=None,
        schema={"line": pl.String()},
        row_index_name=ROW,
    )
    names = [*columns, OVERFLOW]
    parts = pl.col("line").str.split_exact("::", len(columns)).struct.rename_fields(names)
    filled = [pl.when(pl.col(name).str.len_bytes() > 0).then(pl.col(name)).alias(name) for name in names]
    rows = lines.select(ROW, parts.alias("parts")).unnest("parts").with_columns(filled)
    return Table(path, rows, tuple(columns), lambda row: row + 1, lambda: rows)


def _first_line(path: Path) -> str:
    with open_binary(path) as file:
        return file.readline().decode("utf-8-sig", errors="replace").rstrip("\r\n")


def _likeliest_separator(header: str) -> str:
    return max(",\t;|", key=header.count)


def _header_names(path: Path, header: str, separator: str) -> tuple[str, ...]:
    try:
        names = tuple(name.strip() for name in next(csv.reader([header], delimiter=separator), []))
    except csv.Error as error:  # a carriage return within the line: lines ended so on old Macs
        raise DataError(f"{path}, line 1: the header cannot be read; end each line with a line feed") from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}, line 1: the column {twice[0]!r} stands twice in the header; rename one of them")
    if not any(names):
        raise DataError(f"{path}, line 1: there is no header; the first line must name the columns")
    return names


def _bytes_for_polars(path: Path, latin1: bool) -> Path | io.BytesIO:
    if latin1 and not is_utf8(path):
        with open_binary(path) as file:
            return io.BytesIO(file.read().decode("latin-1").encode("utf-8"))
    if is_gzip(path):
        # Reading through our own door names a broken archive instead of a parser's offset.
        with open_binary(path) as file:
            return io.BytesIO(file.read())
    return path


def _record_by_record(path: Path, names: tuple[str, ...], separator: str, quote: str | None, skip: int) -> pl.LazyFrame:
    """Slower, but a broken quote or byte spoils its own row and not the file. A row's number is that of its line."""
    rows = list(_tolerant_rows(path, len(names), separator, quote, skip))
    schema = {ROW: pl.UInt32(), **dict.fromkeys([*names, OVERFLOW, PROBLEM], pl.String())}
    return pl.DataFrame(rows, schema=schema, orient="row").lazy()


def _tolerant_rows(
    path: Path, width: int, separator: str, quote: str | None, skip: int
) -> Iterator[tuple[int | str | None, ...]]:
    for line, fields, problem in records_of(path, width, separator, quote):
        if line <= skip:
            continue
        filled: list[str | None] = [value or None for value in fields[: width + 1]]
        yield (line - 1 - skip, *filled, *[None] * (width + 1 - len(filled)), problem)
