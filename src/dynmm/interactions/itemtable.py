"""The catalogue: one row per item, whether it comes from the item table, the interactions or both."""

from __future__ import annotations

import polars as pl

from dynmm.errors import DataError
from dynmm.interactions.columns import item_columns
from dynmm.interactions.fields import ITEM, ITEM_SCHEMA, TITLE_WORD


def checked_items(frame: pl.DataFrame, where: str, *, skip_bad: bool) -> tuple[pl.DataFrame, dict[str, int]]:
    """The item table in its types, with one row per id, and how many rows were left out for each reason.

    Raises DataError for an empty or repeated id, unless `skip_bad`, which keeps an id's first row.
    """
    table = item_columns(frame, where)
    empty = table[ITEM].is_null() | (table[ITEM].str.strip_chars() == "").fill_null(False)
    repeated = ~table[ITEM].is_first_distinct() & ~empty
    left_out: dict[str, int] = {}
    for bad, what, mend in (
        (empty, "is no id", "fill it in or remove the row"),
        (repeated, "stands in an earlier row too", "keep one row per item"),
    ):
        if not bad.any():
            continue
        if not skip_bad:
            row = bad.arg_max() or 0
            raise DataError(f"{where}, row {row}, column {ITEM!r}: {table[ITEM][row]!r} {what}; {mend}")
        left_out["item rows with an empty id" if bad is empty else "repeated item rows"] = int(bad.sum())
    return (table.filter(~(empty | repeated)), left_out) if left_out else (table, left_out)


def catalogue(interacted: pl.Series, items: pl.DataFrame | None) -> pl.DataFrame:
    """One row per item of either source, sorted by id: dense order.

    interacted: distinct item ids of the interactions. Sorting by id, not by first appearance, keeps the
    order independent of the rows' order, and tells a model nothing about popularity or time.
    """
    if items is None:
        items = item_columns(pl.DataFrame(schema={ITEM: ITEM_SCHEMA[ITEM]}), "items")
    ids = pl.concat([interacted.alias(ITEM), items[ITEM]]).unique().sort().to_frame()
    return ids.join(items, on=ITEM, how="left", maintain_order="left")


def stacked(known: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Rows of an item table under others. A further column of the new ones that has another type there is left out."""
    odd = [name for name, kind in new.schema.items() if known.schema.get(name, kind) != kind]
    return pl.concat([known, new.drop(odd)], how="diagonal")


def names_attribute(column: str) -> bool:
    """Whether facts can speak of a column by its name: it has one, which is not that of words of titles."""
    return column.strip().lower() not in ("", TITLE_WORD)


def unspoken_columns(items: pl.DataFrame) -> list[str]:
    """A sentence for each column of an item table that is no attribute because of its name."""
    return [
        f"the item table's column {name!r} is no attribute, for words of titles go by that name; rename it"
        if name.strip()
        else "the item table has a column without a name, which is no attribute; give it one, or take it out"
        for name in items.columns
        if not names_attribute(name)
    ]
