"""A hash of what a data set says, whatever the encoding of its files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dynmm.interactions.dataset import Dataset


def data_sha256(dataset: Dataset) -> str:
    """Hex digest of ids, events in their order, item table, given split, media coverage and time resolution.

    Neither parquet's encoding nor the order of rows in the files changes it, as long as timestamps and
    positions fix the order of a user's events; where they leave it open, the order of the rows is content.
    Name, wording and licence do not count.
    """
    digest = hashlib.sha256(b"dynmm data 1")
    _add_texts(digest, [dataset.info.time_resolution])
    _add_texts(digest, dataset.users.ids)
    _add_texts(digest, dataset.items.ids)
    events = dataset.events
    for column in (events.users, events.items, events.timestamps, events.ratings, events.weights):
        _add_array(digest, column)
    parts = dataset.given_split
    _add_array(digest, None if parts is None else np.unique(parts, return_inverse=True)[1].astype(np.int8))
    _add_table(digest, dataset.item_table)
    if dataset.media is not None:
        _add_table(digest, dataset.media)
    return digest.hexdigest()


def _add_texts(digest: Any, texts: Iterable[str]) -> None:
    encoded = [text.encode() for text in texts]
    _add_array(digest, np.fromiter(map(len, encoded), np.int64, len(encoded)))
    digest.update(b"".join(encoded))


def _add_array(digest: Any, column: NDArray[Any] | None) -> None:
    if column is None:
        digest.update(b"absent")
        return
    digest.update(f"{column.dtype.str}{column.shape}".encode())
    digest.update(np.ascontiguousarray(column).data)


def _add_table(digest: Any, table: pl.DataFrame) -> None:
    for name in sorted(table.columns):
        column = table[name]
        if column.dtype.base_type() == pl.Binary:
            column = column.bin.encode("hex")
        digest.update(pl.DataFrame({name: column}).write_ndjson().encode())
