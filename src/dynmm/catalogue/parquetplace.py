"""Media whose bytes stand in a parquet table: read page by page, however large its row groups are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from dynmm.catalogue.media import REFUSED, SIZE
from dynmm.errors import DataError, MissingExtraError
from dynmm.interactions.columns import need_columns
from dynmm.interactions.fields import BYTES, FORMAT, ITEM, MODALITY
from dynmm.interactions.tables import parquet_columns, read_parquet

#: What one batch should hold in memory, in bytes.
_BATCH_BYTES = 16_000_000
_BATCH_ROWS = 1024


class ParquetPlace:
    """A media.parquet with the columns item_id, modality, format and bytes."""

    def __init__(self, path: Path) -> None:
        """Raises DataError where the table is none of media."""
        columns = parquet_columns(path)
        need_columns(columns, (ITEM, MODALITY, BYTES), str(path))
        if columns[BYTES] != pl.Binary:
            kind = columns[BYTES]
            raise DataError(f"{path}, column {BYTES!r}: {kind} is no binary column; write each file's content as bytes")
        self._path = path

    def index(self) -> pl.DataFrame:
        table = read_parquet(self._path, [ITEM, MODALITY, FORMAT])
        label = pl.col(FORMAT).cast(pl.String).fill_null("") if FORMAT in table.columns else pl.lit("").alias(FORMAT)
        return table.select(
            pl.col(ITEM, MODALITY).cast(pl.String),
            label,
            pl.lit(None, pl.Int64).alias(SIZE),
            pl.lit(None, pl.String).alias(REFUSED),
        )

    def read(self, rows: Sequence[int]) -> Iterator[tuple[int, bytes | OSError]]:
        """A row without bytes comes as none, ``b""``. Raises DataError, and MissingExtraError without pyarrow."""
        parquet = _pyarrow_parquet()
        import pyarrow as pa

        wanted = set(rows)
        try:
            # Without buffering ahead pyarrow holds some pages; polars would hold the whole row group.
            with parquet.ParquetFile(self._path, buffer_size=1 << 20, pre_buffer=False) as file:
                first = 0
                for group in range(file.metadata.num_row_groups):
                    length = file.metadata.row_group(group).num_rows
                    inside = [row for row in range(first, first + length) if row in wanted]
                    if inside:
                        yield from _of_group(file, group, first, inside)
                    first += length
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"{self._path} cannot be read ({str(error).splitlines()[0]}); write it again as parquet"
            ) from error


def _of_group(file: Any, group: int, first: int, rows: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    meta = file.metadata.row_group(group)
    mean = max(1, meta.total_byte_size // max(1, meta.num_rows))
    size = max(1, min(_BATCH_ROWS, _BATCH_BYTES // mean))
    wanted = iter(rows)
    row = next(wanted, None)
    for batch in file.iter_batches(batch_size=size, row_groups=[group], columns=[BYTES]):
        column = batch.column(0)
        while row is not None and row < first + len(column):
            yield row, column[row - first].as_py() or b""
            row = next(wanted, None)
        if row is None:
            return
        first += len(column)


def _pyarrow_parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            "reading pictures and sounds from media.parquet needs pyarrow, which is not installed; "
            'run: pip install "dynmm[vision]" or "dynmm[audio]"'
        ) from error
    return pyarrow.parquet
