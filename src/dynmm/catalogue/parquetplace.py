"""Media whose bytes stand in a parquet table: read page by page, however large its row groups are."""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl

from dynmm.catalogue.decoding.process import DecodingProcess
from dynmm.catalogue.media import REFUSED, SIZE
from dynmm.errors import DataError, MissingExtraError, first_line
from dynmm.interactions.columns import need_columns
from dynmm.interactions.fields import BYTES, FORMAT, ITEM, MODALITY
from dynmm.interactions.mediatable import labels
from dynmm.interactions.tables import parquet_columns, read_parquet

#: How long it may take to start and to give one row, in seconds.
_SECONDS = 120.0

#: Rows that are on their way while one is used.
_AHEAD = 4


class ParquetPlace:
    """A media.parquet with the columns item_id, modality, format and bytes."""

    needs = "pyarrow"

    def __init__(self, path: Path, memory_mb: int = 2048) -> None:
        """memory_mb: of the process that reads, in MB (2^20 bytes); an honest table needs some pages of it.

        Raises DataError where the table is none of media.
        """
        columns = parquet_columns(path)
        need_columns(columns, (ITEM, MODALITY, BYTES), str(path))
        if columns[BYTES] != pl.Binary:
            kind = columns[BYTES]
            raise DataError(f"{path}, column {BYTES!r}: {kind} is no binary column; write each file's content as bytes")
        self._path, self._memory_mb = path, memory_mb

    def index(self) -> pl.DataFrame:
        table = read_parquet(self._path, [ITEM, MODALITY, FORMAT])
        return labels(table, str(self._path)).with_columns(
            pl.lit(None, pl.Int64).alias(SIZE),
            pl.lit(None, pl.String).alias(REFUSED),
        )

    def read(self, rows: Sequence[int], max_bytes: int) -> Iterator[tuple[int, bytes | OSError]]:
        """A row without bytes comes as none, ``b""``. Raises DataError, and MissingExtraError without pyarrow.

        A process of its own reads, under a limit of memory: what a page holds shows only when it is unpacked. Where
        that takes too much, the rest of its row group is refused, and the other groups are read on.
        """
        left = list(rows)
        ends = self._ends()
        while left:
            taken = yield from self._until_the_end(left, max_bytes)
            left = left[taken:]
            if left:
                end = next(end for end in ends if end > left[0])
                reason = OSError(
                    f"its row group of {self._path.name} takes more than {self._memory_mb:,} MB to unpack, or ends its "
                    "reader in another way; write the table with fewer rows in a group"
                )
                yield from ((row, reason) for row in left if row < end)
                left = [row for row in left if row >= end]

    def _ends(self) -> list[int]:
        """Where each row group ends."""
        parquet = _pyarrow_parquet()
        import pyarrow as pa

        try:
            meta = parquet.read_metadata(self._path)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(first_line(error)) from error
        return list(accumulate(meta.row_group(group).num_rows for group in range(meta.num_row_groups)))

    def _until_the_end(self, rows: Sequence[int], max_bytes: int) -> Generator[tuple[int, bytes | OSError], None, int]:
        """Rows as one process gives them; returns how many, fewer than asked for where memory was out."""
        process = DecodingProcess(max_bytes, "dynmm.catalogue.decoding.cells")
        try:
            told = {
                "path": str(self._path.resolve()),
                "column": BYTES,
                "memory_bytes": self._memory_mb << 20,
                "max_bytes": max_bytes,
            }
            process.send(told, struct.pack(f"<{len(rows)}q", *rows))
            for _ in rows[:_AHEAD]:
                process.send({})
            for number, row in enumerate(rows):
                try:
                    answer = process.receive(_SECONDS)
                except TimeoutError:
                    raise self._unreadable(f"a row took longer than {_SECONDS:g} s") from None
                if answer is None or "memory" in answer[0]:
                    return number
                if "failed" in answer[0]:
                    raise self._unreadable(str(answer[0]["failed"]))
                process.send({})
                size = int(answer[0]["size"])
                if size > max_bytes:
                    yield row, OSError(f"has {size / 1e6:.4g} MB; at most {max_bytes / 1e6:g} MB are read")
                else:
                    yield row, answer[1]
            return len(rows)
        finally:
            process.end()

    def _unreadable(self, why: str) -> DataError:
        return DataError(f"{self._path} cannot be read ({why}); write it again as parquet")


def _pyarrow_parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            "reading pictures and sounds from media.parquet needs pyarrow, which is not installed; "
            'run: pip install "dynmm[vision]" or "dynmm[audio]"'
        ) from error
    return pyarrow.parquet
