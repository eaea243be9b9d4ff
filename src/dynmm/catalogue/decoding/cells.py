"""The reading process: takes the bytes of media out of a parquet table, under a limit of memory.

A compressed page of some hundred kilobytes can hold a cell of gigabytes, and a reader of parquet unpacks a page before
anybody can look at its size. Started as ``python -m dynmm.catalogue.decoding.cells``; it imports neither torch nor
pydantic.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from dynmm.catalogue.decoding.frames import read_frame, write_frame
from dynmm.catalogue.decoding.worker import limit_memory, own_pipes
from dynmm.errors import first_line

#: Rows in one request, 8 bytes each.
_MAX_REQUEST = 1 << 30

#: What one batch should hold in memory, in bytes.
_BATCH_BYTES = 16_000_000
_BATCH_ROWS = 1024


def main() -> None:
    """Answer one row for each request after the first, which says of what table and which rows."""
    requests, answers = own_pipes()
    first = read_frame(requests, _MAX_REQUEST)
    if first is None:
        return
    told, raw = first
    limit_memory(int(told["memory_bytes"]))
    rows = struct.unpack(f"<{len(raw) // 8}q", raw)
    try:
        for row, cell in cells(told["path"], told["column"], rows):
            if read_frame(requests, 0) is None:
                return
            large = len(cell) > told["max_bytes"]
            write_frame(answers, {"row": row, "size": len(cell)}, b"" if large else cell)
    except MemoryError:
        write_frame(answers, {"memory": True})
    except Exception as error:  # noqa: BLE001  # a damaged table makes a reader raise anything
        write_frame(answers, {"failed": first_line(error)[:300]})


def cells(path: str, column: str, rows: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Rows of a binary column and what stands there, ``b""`` where nothing does, some pages in memory at a time.

    rows: ascending. Raises what pyarrow raises, MemoryError among it.
    """
    import pyarrow.parquet

    wanted = set(rows)
    # Without buffering ahead pyarrow holds some pages; polars would hold the whole row group.
    with pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
        first = 0
        for group in range(file.metadata.num_row_groups):
            length = file.metadata.row_group(group).num_rows
            inside = [row for row in range(first, first + length) if row in wanted]
            if inside:
                yield from _of_group(file, group, column, first, inside)
            first += length


def _of_group(file: Any, group: int, column: str, first: int, rows: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    meta = file.metadata.row_group(group)
    mean = max(1, meta.total_byte_size // max(1, meta.num_rows))
    size = max(1, min(_BATCH_ROWS, _BATCH_BYTES // mean))
    wanted = iter(rows)
    row = next(wanted, None)
    for batch in file.iter_batches(batch_size=size, row_groups=[group], columns=[column]):
        values = batch.column(0)
        while row is not None and row < first + len(values):
            yield row, values[row - first].as_py() or b""
            row = next(wanted, None)
        if row is None:
            return
        first += len(values)


if __name__ == "__main__":
    # With an output that is gone nobody waits for an answer.
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        main()
