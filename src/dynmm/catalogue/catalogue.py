"""The items of a data set as what they are: ids, texts, and where their pictures and sounds lie."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dynmm.catalogue.content import AUDIO, IMAGE
from dynmm.catalogue.media import MediaSource
from dynmm.catalogue.texts import texts_of
from dynmm.interactions.columns import need_columns
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.fields import BYTES, FEATURES_DIR, ITEM, MODALITY
from dynmm.interactions.itemtable import checked_items
from dynmm.interactions.mediatable import media_rows
from dynmm.interactions.tables import as_polars


@dataclass(frozen=True, eq=False)
class Catalogue:
    """I items in dense order.

    ids: as outside. texts: I, None where nothing is known. media: None where there are neither pictures nor
    sounds. features_folder: where precomputed vectors lie, None where there are none.
    """

    ids: tuple[str, ...]
    texts: tuple[str | None, ...]
    media: MediaSource | None = None
    features_folder: Path | None = None

    @property
    def n_items(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, dataset: Dataset) -> Catalogue:
        """The catalogue of a data set. Raises DataError where its media cannot be read as a table."""
        features = None if dataset.folder is None else dataset.folder / FEATURES_DIR
        return cls(
            tuple(dataset.items.ids),
            tuple(texts_of(dataset.item_table)),
            MediaSource.of(dataset),
            features if features is not None and features.is_dir() else None,
        )

    @classmethod
    def from_frames(cls, items: Any, media: Any = None, features_folder: str | Path | None = None) -> Catalogue:
        """Items that no data set holds yet, in the order of their rows.

        items: a table of polars, pandas or pyarrow with the columns of `fields.ITEM_SCHEMA`, of which only item_id
        must be there. media: a table with item_id, modality, format and bytes; rows of other items are
        counted, not used. Raises DataError as the data door does.
        """
        from dynmm.catalogue.memoryplace import MemoryPlace

        table, _ = checked_items(as_polars(items, "items"), "items", skip_bad=False)
        ids = tuple(table[ITEM].to_list())
        source = None
        if media is not None:
            given = as_polars(media, "media")
            need_columns(given.columns, (ITEM, MODALITY, BYTES), "media")
            rows = media_rows(given, "media")
            assert rows is not None
            source = MediaSource([MemoryPlace(rows)], ids)
        folder = None if features_folder is None else Path(features_folder)
        return cls(ids, tuple(texts_of(table)), source, folder)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of ids, texts and the list of media with labels and known sizes; no picture or sound is opened.

        What they hold is told by the hash of each one's content, once it is read.
        """
        digest = hashlib.sha256(b"dynmm catalogue 1")
        digest.update(json.dumps([self.ids, self.texts]).encode())
        if self.media is not None:
            for modality in (IMAGE, AUDIO):
                for entry in self.media.entries(modality):
                    line = [entry.id, modality, entry.order, entry.format, entry.size]
                    digest.update(json.dumps(line).encode())
        return digest.hexdigest()
