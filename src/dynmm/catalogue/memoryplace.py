"""Media that were given as a table in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from dynmm.catalogue.media import REFUSED, SIZE
from dynmm.interactions.fields import BYTES, FORMAT, ITEM, MODALITY


class MemoryPlace:
    """A frame with the columns item_id, modality, format and bytes."""

    needs = ""

    def __init__(self, rows: pl.DataFrame) -> None:
        """rows: as `Dataset.media_rows`."""
        self._rows = rows

    def index(self) -> pl.DataFrame:
        return self._rows.select(
            ITEM,
            MODALITY,
            FORMAT,
            pl.col(BYTES).bin.size().cast(pl.Int64).alias(SIZE),
            pl.when(pl.col(BYTES).is_null()).then(pl.lit("has no bytes")).alias(REFUSED),
        )

    def read(self, rows: Sequence[int], max_bytes: int) -> Iterator[tuple[int, bytes | OSError]]:
        column = self._rows[BYTES]
        for row in rows:
            yield row, column[row]
