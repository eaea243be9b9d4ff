"""Media that lie in files of the data set's folder, named for their items or listed in media.parquet."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from dynmm.catalogue.decoding.formats import FORMATS
from dynmm.catalogue.media import INDEX_SCHEMA
from dynmm.errors import DataError
from dynmm.interactions.columns import need_columns
from dynmm.interactions.fields import BYTES, FORMAT, ITEM, MEDIA_DIR, MODALITY, PATH
from dynmm.interactions.mediafiles import media_files
from dynmm.interactions.mediatable import labels
from dynmm.interactions.tables import parquet_columns, read_parquet

_EXTENSIONS = frozenset(extension for one in FORMATS for extension in one.extensions)


class FilePlace:
    """Files below one folder. A path that leads out of it, and what is no plain file, is refused and never opened."""

    needs = ""

    def __init__(self, root: Path, rows: pl.DataFrame) -> None:
        """rows: item_id, modality, path from `root`, and format where it is said."""
        self._root = root.resolve()
        self._rows = rows
        self._paths: list[str] = [str(path or "") for path in rows[PATH].to_list()]

    @classmethod
    def beside(cls, folder: Path) -> FilePlace | None:
        """The files of a data set's `media/`; None where there are none."""
        files = media_files(folder)
        if not files.height:
            return None
        # `media` itself may be a link to another disk; what lies in it may not lead further.
        inner = files.with_columns(pl.col(PATH).str.strip_prefix(f"{MEDIA_DIR}/"))
        return cls(folder / MEDIA_DIR, inner)

    @classmethod
    def listed(cls, table: Path) -> FilePlace | None:
        """The files that a media.parquet lists in its column `path`; None where it has no such column.

        Raises DataError where it has bytes too, or where paths are no text.
        """
        columns = parquet_columns(table)
        if PATH not in columns:
            return None
        need_columns(columns, (ITEM, MODALITY), str(table))
        if BYTES in columns:
            raise DataError(f"{table} has both columns {BYTES!r} and {PATH!r}; keep one of them")
        if columns[PATH] != pl.String:
            raise DataError(f"{table}, column {PATH!r}: {columns[PATH]} is no text; write paths from the folder")
        rows = read_parquet(table, [ITEM, MODALITY, PATH, FORMAT])
        return cls(table.parent, labels(rows, str(table)).with_columns(rows[PATH]))

    def index(self) -> pl.DataFrame:
        said = self._rows[FORMAT].to_list() if FORMAT in self._rows.columns else [""] * len(self._paths)
        looked = [self._look(path) for path in self._paths]
        return pl.DataFrame(
            {
                ITEM: self._rows[ITEM],
                MODALITY: self._rows[MODALITY],
                FORMAT: [label or _extension(path) for label, path in zip(said, self._paths, strict=True)],
                "size": [size for size, _ in looked],
                "refused": [refused for _, refused in looked],
            },
            schema=INDEX_SCHEMA,
        )

    def read(self, rows: Sequence[int], max_bytes: int) -> Iterator[tuple[int, bytes | OSError]]:
        for row in rows:
            try:
                yield row, (self._root / self._paths[row]).read_bytes()
            except OSError as error:
                yield row, error

    def _look(self, path: str) -> tuple[int | None, str | None]:
        """The size of a file, or why it is not read."""
        if not path or "\0" in path:
            return None, "has no path to a file"
        try:
            place = (self._root / path).resolve()
            if not place.is_relative_to(self._root):
                return None, f"lies outside the data folder ({path})"
            found = os.stat(place)
        except (OSError, RuntimeError) as error:  # RuntimeError: links that lead round in a circle
            return None, f"cannot be read ({getattr(error, 'strerror', None) or error}: {path})"
        if not stat.S_ISREG(found.st_mode):
            return None, f"is no plain file ({path})"
        return found.st_size, None


def _extension(path: str) -> str:
    """Of a format that is read, else "": a name by itself does not keep a file from being what it is."""
    extension = Path(path).suffix.lstrip(".").lower()
    return extension if extension in _EXTENSIONS else ""
