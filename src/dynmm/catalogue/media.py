"""Where the pictures and sounds of a catalogue lie, and their bytes, a bounded number at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl

from dynmm.catalogue.content import AUDIO, IMAGE, MODALITIES, Modality
from dynmm.catalogue.features import LeftOut
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.fields import FORMAT, ITEM, MEDIA_FILE, MODALITY

SIZE = "size"
REFUSED = "refused"

#: Items outside the catalogue that are named for each modality.
_NAMED = 5

#: What a place says of its rows. format: "" where none is said. size: in bytes, null where only reading tells.
#: refused: why a row cannot be read, null where it can.
INDEX_SCHEMA = {ITEM: pl.String, MODALITY: pl.String, FORMAT: pl.String, SIZE: pl.Int64, REFUSED: pl.String}


class MediaPlace(Protocol):
    """A table or a folder of media. needs: the module that `read` takes, "" where it takes none."""

    needs: str

    def index(self) -> pl.DataFrame:
        """One row for each picture or sound, with the columns of `INDEX_SCHEMA`. Reads no content."""
        ...

    def read(self, rows: Sequence[int], max_bytes: int) -> Iterator[tuple[int, bytes | OSError]]:
        """Rows of the index and their bytes, or what stood in the way. rows: ascending, as they come out.

        max_bytes: nobody asks for a row of more, as far as the index knows sizes; where it does not, such a row is
        answered by an OSError.
        """
        ...


@dataclass(frozen=True)
class MediaEntry:
    """One picture or sound of one item.

    item: dense. id: as outside. order: 0 for the item's first frame or track. format: its label, "" where none.
    size: in bytes, None where only reading tells. place, row: where the source finds it.
    """

    item: int
    id: str
    modality: Modality
    order: int
    format: str
    size: int | None
    place: int
    row: int


class MediaSource:
    """The pictures and sounds of I items. Content is read on demand, never all at once.

    left_out: rows that cannot be read, with the reason. given: how many rows there are of each modality, whatever
    became of them. strangers: how many of them belong to items outside the catalogue, and strange: the first ids of
    these, each once. unread: how many rows are of
    another modality than image and audio, by name.
    """

    def __init__(self, places: Sequence[MediaPlace], ids: Sequence[str]) -> None:
        """ids: I item ids in dense order. Raises DataError for a table that cannot be read."""
        self._places = tuple(places)
        self._entries: dict[str, list[MediaEntry]] = {IMAGE: [], AUDIO: []}
        self.left_out: list[LeftOut] = []
        self._told: set[tuple[int, int]] = set()
        self.given: Counter[Modality] = Counter()
        self.strangers: Counter[str] = Counter()
        self.strange: dict[str, list[str]] = {modality: [] for modality in MODALITIES}
        self.unread: Counter[str] = Counter()
        dense = {item: number for number, item in enumerate(ids)}
        orders: Counter[tuple[int, str]] = Counter()
        for number, place in enumerate(self._places):
            self._add(number, place.index(), dense, orders)

    @classmethod
    def of(cls, dataset: Dataset) -> MediaSource | None:
        """The media of a data set: its table in memory, its media.parquet and the files of its `media/`.

        None where it has none of these. Raises DataError, and MissingExtraError where the table needs a reader.
        """
        from dynmm.catalogue.memoryplace import MemoryPlace

        places: list[MediaPlace] = []
        if dataset.media_rows is not None:
            places.append(MemoryPlace(dataset.media_rows))
        if dataset.folder is not None:
            places += _places_of(dataset.folder)
        return cls(places, dataset.items.ids) if places else None

    def entries(self, modality: Modality) -> Sequence[MediaEntry]:
        """All entries of ``image`` or ``audio`` in the order in which `read` gives them; none for ``text``."""
        return self._entries.get(modality, [])

    def needs(self, modality: Modality) -> list[str]:
        """The modules that reading what there is of a modality takes, in whatever place it lies."""
        return sorted({self._places[entry.place].needs for entry in self.entries(modality)} - {""})

    def read(self, entries: Iterable[MediaEntry], max_bytes: int = 8_000_000) -> Iterator[tuple[MediaEntry, bytes]]:
        """Entries and their bytes, ordered as `entries` orders them, with a few files in memory at a time.

        max_bytes: larger files are not opened. Such files, and files that the system does not give, are passed
        over and stand in `left_out` from then on. Raises DataError for a table that cannot be read on.
        """
        wanted: dict[int, dict[int, MediaEntry]] = {}
        for entry in entries:
            if entry.size is not None and entry.size > max_bytes:
                self._leave_out(entry, f"has {entry.size / 1e6:.4g} MB; at most {max_bytes / 1e6:g} MB are read")
            else:
                wanted.setdefault(entry.place, {})[entry.row] = entry
        for number in sorted(wanted):
            by_row = wanted[number]
            for row, raw in self._places[number].read(sorted(by_row), max_bytes):
                if isinstance(raw, OSError):
                    self._leave_out(by_row[row], f"cannot be read ({raw.strerror or raw})")
                else:
                    yield by_row[row], raw

    def _leave_out(self, entry: MediaEntry, reason: str) -> None:
        """Tell of an entry once, however often it is asked for."""
        if (entry.place, entry.row) not in self._told:
            self._told.add((entry.place, entry.row))
            self.left_out.append(LeftOut(entry.id, entry.modality, reason))

    def _add(self, place: int, index: pl.DataFrame, dense: dict[str, int], orders: Counter[tuple[int, str]]) -> None:
        for row, (item, modality, label, size, refused) in enumerate(index.select(list(INDEX_SCHEMA)).iter_rows()):
            number = dense.get(item)
            if modality not in self._entries:
                self.unread[str(modality)] += 1
                continue
            self.given[modality] += 1
            if number is None:
                self.strangers[modality] += 1
                if len(self.strange[modality]) < _NAMED and item not in self.strange[modality]:
                    self.strange[modality].append(item)
            elif refused is not None:
                self.left_out.append(LeftOut(item, modality, refused))
            else:
                entry = MediaEntry(number, item, modality, orders[number, modality], label or "", size, place, row)
                orders[number, modality] += 1
                self._entries[modality].append(entry)


def _places_of(folder: Path) -> list[MediaPlace]:
    from dynmm.catalogue.fileplace import FilePlace
    from dynmm.catalogue.parquetplace import ParquetPlace

    places: list[MediaPlace] = []
    table = folder / MEDIA_FILE
    if table.is_file():
        places.append(FilePlace.listed(table) or ParquetPlace(table))
    beside = FilePlace.beside(folder)
    return [*places, beside] if beside is not None else places
