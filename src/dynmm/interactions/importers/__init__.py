"""Source formats. To add one: write a file with one function of the shape `imported.Importer`, and a line here."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import polars as pl

from dynmm.errors import ConfigError, DataError, EmptyDataError
from dynmm.interactions.dataset import DatasetInfo
from dynmm.interactions.fields import ITEM, KIND, TAGS_FILE, TIME, USER, USERS_FILE
from dynmm.interactions.importers.imported import Imported, Importer, merge_counts
from dynmm.interactions.itemtable import unspoken_columns

__all__ = [
    "IMPORTERS",
    "ImportReport",
    "Imported",
    "Importer",
    "import_folder",
    "import_source",
    "importer",
    "options_of",
]

_LOG = logging.getLogger(__name__)

#: Kind of source -> "module:function", imported when it is asked for.
IMPORTERS: dict[str, str] = {
    "movielens": "dynmm.interactions.importers.movielens:import_movielens",
    "amazon": "dynmm.interactions.importers.amazon:import_amazon",
    "kuairec": "dynmm.interactions.importers.kuairec:import_kuairec",
    "recbole": "dynmm.interactions.importers.recbole:import_recbole",
    "csv": "dynmm.interactions.importers.csv_files:import_csv",
}

_REPEATED = "events that repeat an earlier one"


@dataclass(frozen=True)
class ImportReport:
    """What an import wrote. left_out: rows of the source that were not taken over, by reason."""

    kind: str
    folder: Path
    users: int
    items: int
    interactions: int
    info: DatasetInfo
    left_out: dict[str, int]


def importer(kind: str) -> Importer:
    """The function that reads one kind of source. Raises ConfigError for an unknown kind."""
    if kind not in IMPORTERS:
        raise ConfigError(f"unknown kind of source {kind!r}; use one of {', '.join(IMPORTERS)}")
    module, _, function = IMPORTERS[kind].partition(":")
    return cast(Importer, getattr(importlib.import_module(module), function))


def options_of(kind: str) -> tuple[str, ...]:
    """The options that one kind of source takes beside `skip_bad`. Raises ConfigError for an unknown kind."""
    names = inspect.signature(importer(kind)).parameters
    return tuple(name for name in names if name not in ("source", "skip_bad"))


def import_source(kind: str, source: str | Path, *, skip_bad: bool = False, **options: Any) -> Imported:
    """Read a source of one kind into canonical tables, without writing anything.

    Raises ConfigError for an option that the kind does not take; DataError as the importer does.
    """
    known = options_of(kind)
    for name in options:
        if name not in known:
            takes = ", ".join(known) or "none"
            raise ConfigError(f"{kind} takes no option {name!r}; its options: {takes}")
    imported = importer(kind)(Path(source), skip_bad=skip_bad, **options)
    if imported.interactions.is_empty():
        raise EmptyDataError(f"{source} has no usable interaction; left out: {imported.left_out or 'nothing'}")
    _mention_unknown_items(imported)
    return _without_repeats(imported, skip_bad)


def import_folder(
    kind: str,
    source: str | Path,
    dest: str | Path,
    *,
    skip_bad: bool = False,
    overwrite: bool = False,
    name: str | None = None,
    noun: str | None = None,
    verb: str | None = None,
    progress: Callable[[str], None] = _LOG.info,
    **options: Any,
) -> ImportReport:
    """Read a source and write it as a canonical data set folder, whole or not at all.

    name, noun, verb replace what the importer says of the data. progress hears what is being done. An
    existing data set folder is replaced only with `overwrite`, and any other never. Raises DataError at the
    first malformed row unless `skip_bad`, ConfigError for an option that the kind does not take, StorageError
    where `dest` is taken or the disk refuses.
    """
    from dynmm.interactions.writing import check_target, write_folder

    folder = Path(dest)
    check_target(folder, overwrite, Path(source))
    progress(f"reading {source}")
    imported = import_source(kind, source, skip_bad=skip_bad, **options)
    for unspoken in () if imported.items is None else unspoken_columns(imported.items):
        _LOG.warning("%s", unspoken)
    was = imported.info
    info = replace(was, name=name or was.name, noun=noun or was.noun, verb=verb or was.verb)
    extra = {USERS_FILE: imported.users, TAGS_FILE: imported.tags}
    progress(f"writing {imported.interactions.height:,} interactions to {folder}")
    write_folder(
        folder,
        imported.interactions,
        imported.items,
        info,
        {file: frame for file, frame in extra.items() if frame is not None},
    )
    items = imported.interactions[ITEM].n_unique() if imported.items is None else _catalogue_size(imported)
    return ImportReport(
        kind,
        folder,
        imported.interactions[USER].n_unique(),
        items,
        imported.interactions.height,
        info,
        imported.left_out,
    )


def _catalogue_size(imported: Imported) -> int:
    assert imported.items is not None
    return pl.concat([imported.interactions[ITEM].unique(), imported.items[ITEM]]).n_unique()


def _mention_unknown_items(imported: Imported) -> None:
    """Where most items of the interactions are not in the item table, their ids are likely written in two ways."""
    if imported.items is None or imported.items.is_empty():
        return
    taken, told = (frame[ITEM].unique(maintain_order=True) for frame in (imported.interactions, imported.items))
    unknown = taken.filter(~taken.is_in(told.implode()))
    if 2 * len(unknown) > len(taken):
        _LOG.warning(
            "%s of %s items of the interactions are not in the item table: it has no %r, but %r; where these are the "
            "same items, write their ids alike in both",
            *(f"{len(one):,}" for one in (unknown, taken)),
            unknown[0],
            told[0],
        )


def _without_repeats(imported: Imported, skip_bad: bool) -> Imported:
    """Each event once, and each item once.

    An event is a user, an item, a moment and a kind: where every row has its moment, the same again is the
    same line twice, and is counted. An item that stands twice is a mistake of the source: which one holds?
    """
    rows, left_out = imported.interactions, imported.left_out
    if TIME in rows.columns and not rows[TIME].null_count():
        event = [name for name in (USER, ITEM, TIME, KIND) if name in rows.columns]
        if rows.select(pl.struct(event).hash()).to_series().n_unique() < rows.height:
            kept = rows.unique(event, keep="first", maintain_order=True)
            left_out = merge_counts(left_out, {_REPEATED: rows.height - kept.height})
            rows = kept
            _LOG.warning("left out %s %s", f"{left_out[_REPEATED]:,}", _REPEATED)
    items = imported.items
    if items is not None and items[ITEM].n_unique() < items.height:
        first = items.filter(~pl.col(ITEM).is_first_distinct())[ITEM][0]
        if not skip_bad:
            raise DataError(
                f"the item table, column {ITEM!r}: {first!r} stands twice; keep one row for each item, or keep the "
                "first of each with skip_bad (--skip-bad)"
            )
        once = items.unique(ITEM, keep="first", maintain_order=True)
        left_out = merge_counts(left_out, {"items: repeated rows": items.height - once.height})
        items = once
    return replace(imported, interactions=rows, items=items, left_out=left_out)
