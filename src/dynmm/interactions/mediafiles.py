"""Pictures and sounds that lie beside the tables, as files named for their items."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from dynmm.interactions.fields import ITEM, MEDIA_DIR, MODALITY, PATH

#: The folders of `media/` that are read.
_FOLDERS = ("image", "audio")

MEDIA_FILE_SCHEMA = {ITEM: pl.String, MODALITY: pl.String, PATH: pl.String}


def media_files(folder: Path) -> pl.DataFrame:
    """The files of a data set folder's `media/`: item_id, modality, path from `folder`; one row for each file.

    ``media/image/<item_id>.jpg`` is one picture, ``media/image/<item_id>/<any name>.jpg`` are frames in the order of
    their names; `audio` likewise. Only names are read here: what is no picture shows when it is opened. Names that
    begin with a dot are no media.
    """
    rows = [
        (item, modality, path.relative_to(folder).as_posix())
        for modality in _FOLDERS
        for item, path in _found(folder / MEDIA_DIR / modality)
    ]
    return pl.DataFrame(rows, schema=MEDIA_FILE_SCHEMA, orient="row")


def media_strays(folder: Path) -> list[str]:
    """What lies in a data set folder's `media/` and is not read, in sentences."""
    return [
        f"{MEDIA_DIR}/{name} is not read: pictures lie in {MEDIA_DIR}/image and sounds in {MEDIA_DIR}/audio"
        for name in _names(folder / MEDIA_DIR)
        if name not in _FOLDERS
    ]


def _found(folder: Path) -> Iterator[tuple[str, Path]]:
    for name in _names(folder):
        path = folder / name
        if path.is_dir():
            for frame in _names(path):
                yield name, path / frame
        else:
            yield path.stem, path


def _names(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))
