"""RecBole atomic files: X.inter, and X.item and X.user where they exist, with typed headers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from dynmm.errors import DataError
from dynmm.interactions.dataset import DatasetInfo
from dynmm.interactions.fields import BRAND, CATEGORIES, DESCRIPTION, ITEM, POSITION, RATING, TIME, TITLE, USER, YEAR
from dynmm.interactions.importers.checking import Field, checked, identifier, moment, number, text
from dynmm.interactions.importers.delimited import read_delimited
from dynmm.interactions.importers.files import bare_name, existing, optional
from dynmm.interactions.importers.imported import Imported, merge_counts
from dynmm.interactions.importers.table import Table
from dynmm.interactions.importers.times import resolution_of, resolve_unit

_LOG = logging.getLogger(__name__)

_TYPES = ("token", "token_seq", "float", "float_seq")
_TITLES = ("title", "movie_title", "book_title", "item_name", "name")
_CATEGORY = ("categories", "category", "genre", "genres", "class", "tags")
_YEARS = ("release_year", "year", "publication_year")
_DESCRIPTIONS = ("description", "text")
_BRANDS = ("brand", "store", "author", "artist")


def import_recbole(source: Path, *, skip_bad: bool = False, in_order: bool = False) -> Imported:
    """Read a folder with one X.inter file, or that file, whose companions lie beside it.

    The unit of the timestamps is found from their size and said in the notes. in_order: rows stand in the
    order in which they happened, which counts where there is no timestamp. Raises DataError for a header
    that is not typed, a missing column or a malformed row.
    """
    path = _inter_file(existing(source))
    table, types = _typed_table(path)
    for name in (USER, ITEM):
        if name not in types:
            raise DataError(f"{path}: no field {name}:token in the header; found: {', '.join(types)}. Rename the field")
    wanted = [identifier(USER, USER), identifier(ITEM, ITEM)]
    notes = ""
    if TIME in types:
        unit = resolve_unit(table.sample(TIME), None, f"{path}, column 'timestamp'")
        notes = f"timestamps read in unit {unit}"
        _LOG.info("%s: %s", path, notes)
        wanted.append(moment(TIME, TIME, unit))
    if RATING in types:
        wanted.append(number(RATING, RATING))
    interactions, left_out = checked(table, wanted, skip_bad=skip_bad)
    if in_order:
        interactions = interactions.with_columns(pl.int_range(pl.len(), dtype=pl.Int32).over(USER).alias(POSITION))
    stem = bare_name(path)
    items, items_out = _side_table(optional(path.parent, f"{stem}.item"), "items", skip_bad)
    users, users_out = _side_table(optional(path.parent, f"{stem}.user"), "users", skip_bad)
    info = DatasetInfo(stem, time_resolution=resolution_of(interactions), notes=notes)
    return Imported(interactions, info, items, users, left_out=merge_counts(left_out, items_out, users_out))


def _inter_file(source: Path) -> Path:
    if source.is_file():
        return source
    found = sorted(path for path in source.iterdir() if path.name.removesuffix(".gz").endswith(".inter"))
    if len(found) != 1:
        listed = ", ".join(path.name for path in found) or "none"
        raise DataError(f"{source} should hold one .inter file, but holds {listed}; give the path of the file itself")
    return found[0]


def _typed_table(path: Path) -> tuple[Table, dict[str, str]]:
    """The table with plain column names, and the type of each."""
    table = read_delimited(path, "\t", quote=None)
    types: dict[str, str] = {}
    for column in table.columns:
        name, _, kind = column.rpartition(":")
        if not name or kind not in _TYPES:
            raise DataError(
                f"{path}, line 1: header field {column!r} should read name:type with a type of {', '.join(_TYPES)}, "
                "parted by tabs; mend the header"
            )
        types[name] = kind
    renames = dict(zip(table.columns, types, strict=True))
    plain = Table(
        path,
        table.rows.rename(renames),
        tuple(types),
        table.line_of,
        lambda: table.repair().rename(renames),
    )
    return plain, types


def _side_table(path: Path | None, what: str, skip_bad: bool) -> tuple[pl.DataFrame | None, dict[str, int]]:
    if path is None:
        return None, {}
    table, types = _typed_table(path)
    key = ITEM if what == "items" else USER
    wanted: list[Field] = [identifier(key, key)]
    renamed = _canonical_names(list(types)) if what == "items" else {}
    lists: list[str] = []
    for name, kind in types.items():
        target = renamed.get(name, name)
        if name == key:
            continue
        wanted.append(number(target, name) if kind == "float" and target != YEAR else text(target, name))
        if target == CATEGORIES or (kind.endswith("_seq") and target not in (TITLE, DESCRIPTION, BRAND)):
            lists.append(target)
    frame, left_out = checked(table, wanted, skip_bad=skip_bad)
    changes = [_as_list(pl.col(name)) for name in lists]
    if YEAR in frame.columns:
        year = pl.col(YEAR).cast(pl.Float64, strict=False).cast(pl.Int16, strict=False)
        changes.append(pl.when(year > 0).then(year).alias(YEAR))
    return frame.with_columns(changes), {f"{what}: {reason}": count for reason, count in left_out.items()}


def _canonical_names(names: Sequence[str]) -> dict[str, str]:
    """From the file's names to ours, each of ours at most once."""
    groups = {TITLE: _TITLES, CATEGORIES: _CATEGORY, YEAR: _YEARS, DESCRIPTION: _DESCRIPTIONS, BRAND: _BRANDS}
    renamed: dict[str, str] = {}
    for canonical, usual in groups.items():
        found = next((name for name in usual if name in names), None)
        if found is not None:
            renamed[found] = canonical
    return renamed


def _as_list(column: pl.Expr) -> pl.Expr:
    """A sequence of words, or of quoted phrases parted by commas, as Amazon's atomic files have them."""
    quoted = column.str.extract_all(r"'[^']*'|\"[^\"]*\"").list.eval(pl.element().str.strip_chars("'\""))
    words = column.str.split(" ").list.eval(pl.element().filter(pl.element().str.len_bytes() > 0))
    return pl.when(column.str.contains(r"^\s*\[?['\"]")).then(quoted).otherwise(words)
