"""A source table as text: every column a string, every row with its place, so that one check serves all formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

#: The row's number in the file, 0 first.
ROW = "\x00row"
#: Filled where a row has more fields than the header.
OVERFLOW = "\x00overflow"
#: Filled by a repair with what is wrong with the row as a whole.
PROBLEM = "\x00problem"


@dataclass(frozen=True, eq=False)
class Table:
    """A table that is still on disk.

    rows: lazy; ROW as an unsigned integer and every other column as String, null where the field is empty.
    columns: the names of the source. line_of: from a row number to the line of the file, 1 first.
    repair: a slow, tolerant reading of the same file with a PROBLEM column, for when the fast one fails.
    blank_rows: rows without any field are blank lines and mean nothing.
    """

    path: Path
    rows: pl.LazyFrame
    columns: tuple[str, ...]
    line_of: Callable[[int], int]
    repair: Callable[[], pl.LazyFrame]
    blank_rows: bool = True

    def sample(self, column: str, size: int = 1000) -> list[str]:
        """Up to `size` filled values of one column, from the start of the file."""
        try:
            return self._sample(self.rows, column, size)
        except pl.exceptions.ComputeError:
            return self._sample(self.repair(), column, size)

    def _sample(self, rows: pl.LazyFrame, column: str, size: int) -> list[str]:
        filled = rows.select(pl.col(column).str.strip_chars()).filter(pl.col(column).str.len_bytes() > 0)
        return filled.head(size).collect()[column].to_list()
