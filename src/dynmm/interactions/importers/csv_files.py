"""Any csv or tsv: columns by option, or by the names that such files usually have."""

from __future__ import annotations

import logging
from pathlib import Path

import polars as pl

from dynmm.errors import DataError
from dynmm.interactions.dataset import DatasetInfo
from dynmm.interactions.fields import (
    BRAND,
    CATEGORIES,
    DESCRIPTION,
    ITEM,
    KIND,
    POSITION,
    RATING,
    TIME,
    TITLE,
    USER,
    WEIGHT,
    YEAR,
)
from dynmm.interactions.importers.checking import Field, checked, identifier, moment, number, text, year
from dynmm.interactions.importers.delimited import read_delimited
from dynmm.interactions.importers.files import bare_name
from dynmm.interactions.importers.imported import Imported, merge_counts
from dynmm.interactions.importers.table import Table
from dynmm.interactions.importers.times import TimeUnit, resolution_of, resolve_unit

_LOG = logging.getLogger(__name__)

#: Names that a column usually has, in lower case and without spaces, hyphens and underscores.
_USUAL: dict[str, tuple[str, ...]] = {
    USER: ("userid", "user", "uid", "customerid", "customer", "visitorid", "sessionid", "reviewerid", "memberid"),
    ITEM: (
        *("itemid", "item", "iid", "movieid", "productid", "product", "articleid", "videoid", "bookid", "trackid"),
        *("parentasin", "asin", "sku", "isbn"),
    ),
    TIME: ("timestamp", "time", "ts", "datetime", "date", "unixreviewtime", "eventtime", "createdat"),
    RATING: ("rating", "ratings", "score", "stars", "overall"),
    KIND: ("kind", "event", "eventtype", "action", "behavior", "behaviour"),
    WEIGHT: ("weight",),
    TITLE: ("title", "name", "itemname", "productname"),
    DESCRIPTION: ("description", "summary", "overview", "text"),
    BRAND: ("brand", "store", "manufacturer", "publisher", "artist", "author"),
    CATEGORIES: ("categories", "category", "genres", "genre", "tags"),
    YEAR: ("year", "releaseyear"),
}


def import_csv(
    source: Path,
    *,
    skip_bad: bool = False,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    rating: str | None = None,
    event_kind: str | None = None,
    weight: str | None = None,
    time_unit: TimeUnit | None = None,
    separator: str | None = None,
    in_order: bool = False,
    items: Path | None = None,
) -> Imported:
    """Read a table with a header, one interaction per row.

    user, item, time, rating, event_kind, weight: names of columns, guessed where not given. time_unit: s,
    ms, us, ns or iso, guessed from the values where not given. in_order: the rows stand in the order in
    which they happened, which counts where there is no time. items: a further table with one item per row.
    Raises DataError for missing columns, malformed rows and times that the unit cannot explain.
    """
    table = read_delimited(source, separator)
    named = {USER: user, ITEM: item, TIME: time, RATING: rating, KIND: event_kind, WEIGHT: weight}
    found = _columns(table, named, needed=(USER, ITEM))
    wanted: list[Field] = [identifier(USER, found[USER]), identifier(ITEM, found[ITEM])]
    notes = ""
    if TIME in found:
        unit = resolve_unit(table.sample(found[TIME]), time_unit, f"{table.path}, column {found[TIME]!r}")
        notes = f"times read from column {found[TIME]!r} in unit {unit}"
        _LOG.info("%s: %s", table.path, notes)
        wanted.append(moment(TIME, found[TIME], unit))
    elif time_unit is not None:
        raise DataError(f"{table.path} has no time column that time_unit could be about; name it with time (--time)")
    wanted += [number(name, found[name]) for name in (RATING, WEIGHT) if name in found]
    if KIND in found:
        wanted.append(text(KIND, found[KIND]))
    interactions, left_out = checked(table, wanted, skip_bad=skip_bad)
    if in_order:
        interactions = interactions.with_columns(pl.int_range(pl.len(), dtype=pl.Int32).over(USER).alias(POSITION))
    item_frame, items_left_out = (None, {}) if items is None else _items(items, separator, skip_bad)
    info = DatasetInfo(bare_name(source), time_resolution=resolution_of(interactions), notes=notes)
    return Imported(interactions, info, item_frame, left_out=merge_counts(left_out, items_left_out))


def _columns(table: Table, named: dict[str, str | None], needed: tuple[str, ...]) -> dict[str, str]:
    """From canonical names to the table's, as named or guessed; what is neither is absent."""
    plain = {name.lower().replace("_", "").replace("-", "").replace(" ", ""): name for name in reversed(table.columns)}
    found: dict[str, str] = {}
    for canonical, asked in named.items():
        if asked is not None and asked not in table.columns:
            raise DataError(f"{table.path} has no column {asked!r}; it has: {', '.join(table.columns)}")
        guess = asked or next((plain[usual] for usual in _USUAL[canonical] if usual in plain), None)
        if guess is not None:
            found[canonical] = guess
        elif canonical in needed:
            raise DataError(
                f"{table.path}: no column looks like {canonical} among: {', '.join(table.columns)}; name it "
                f"with {canonical.removesuffix('_id')} (--{canonical.removesuffix('_id')})"
            )
    if found.get(USER, "") == found.get(ITEM):
        raise DataError(f"{table.path}: column {found[ITEM]!r} cannot hold both users and items; name two columns")
    return found


def _items(path: Path, separator: str | None, skip_bad: bool) -> tuple[pl.DataFrame, dict[str, int]]:
    """The item table: known columns in their types, every further column as a text attribute."""
    table = read_delimited(path, separator)
    known = (ITEM, TITLE, DESCRIPTION, BRAND, CATEGORIES, YEAR)
    found = _columns(table, dict.fromkeys(known), needed=(ITEM,))
    wanted = [identifier(ITEM, found[ITEM])]
    wanted += [text(name, found[name]) for name in (TITLE, DESCRIPTION, BRAND, CATEGORIES) if name in found]
    wanted += [year(YEAR, found[YEAR])] if YEAR in found else []
    wanted += [text(name, name) for name in table.columns if name not in found.values() and name not in found]
    frame, left_out = checked(table, wanted, skip_bad=skip_bad)
    if CATEGORIES in found:
        frame = frame.with_columns(_as_list(pl.col(CATEGORIES)))
    return frame, {f"items: {reason}": count for reason, count in left_out.items()}


def _as_list(column: pl.Expr) -> pl.Expr:
    """Values parted by bars, semicolons or commas, whichever stands in the cell, in this order."""
    unified = (
        pl.when(column.str.contains("|", literal=True))
        .then(column)
        .when(column.str.contains(";", literal=True))
        .then(column.str.replace_all(";", "|", literal=True))
        .otherwise(column.str.replace_all(",", "|", literal=True))
    )
    parts = unified.str.split("|").list.eval(pl.element().str.strip_chars())
    return parts.list.eval(pl.element().filter(pl.element().str.len_bytes() > 0)).alias(CATEGORIES)
