"""What items share besides who took them: brand, category, year, tags, any further column, words of the title.

I items, V distinct values of all columns together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from dynmm.factids import value_text
from dynmm.interactions.fields import CATEGORIES, DESCRIPTION, ITEM, TITLE, TITLE_WORD
from dynmm.interactions.itemtable import names_attribute

#: The column under which words of the title stand.
WORDS = TITLE_WORD

#: The singular under which values of a list stand.
_SINGULAR = {CATEGORIES: "category", "tags": "tag", "genres": "genre"}

#: Never attributes: what names an item, and free text.
_NOT = frozenset({ITEM, TITLE, DESCRIPTION})
_BARE = (pl.Binary, pl.Null, pl.Object)

#: A value that more than this share of the items has tells nothing about any.
COMMON = 0.5

_WORD = re.compile(r"(?=[^\W_]*[^\W\d_])[^\W_]{2,}")


@dataclass(frozen=True, eq=False)
class AttributeTable:
    """Who has which value. A value counts the more the fewer have it: log(I / items) / log I.

    names: columns in use. values: V of (column, value), JSON values. column: (V,) place of each in `names`. shared:
    (V,) how many items of the fit have it; n_fitted: of so many. entries: (I, V) float32; the product of two rows
    within a column is what they share, sum over shared values of their weight, over the geometric mean of how many
    values each has.
    """

    names: tuple[str, ...]
    values: tuple[tuple[str, object], ...]
    column: NDArray[np.int64]
    shared: NDArray[np.int64]
    rarity: NDArray[np.float64]
    entries: sp.csr_matrix
    n_fitted: int

    @classmethod
    def of(cls, items: pl.DataFrame) -> AttributeTable:
        """From an item table, one row per item in dense order. Values of a single item connect nothing."""
        found: dict[tuple[str, str], list[int]] = {}
        kept: dict[tuple[str, str], object] = {}
        for name, column in _columns(items):
            for item, had in enumerate(column):
                for value in had:
                    key = (name, value_text(value))
                    kept.setdefault(key, value)
                    found.setdefault(key, []).append(item)
        most = max(2, int(COMMON * len(items)))
        keys = [key for key, holders in found.items() if 2 <= len(holders) <= most]
        names = tuple(dict.fromkeys(name for name, _ in keys))
        column = np.asarray([names.index(name) for name, _ in keys], dtype=np.int64)
        shared = np.asarray([len(found[key]) for key in keys], dtype=np.int64)
        rarity = np.maximum(0.0, np.log(len(items) / np.maximum(shared, 1)) / max(np.log(max(len(items), 1)), 1e-9))
        rows = np.concatenate([np.empty(0, np.int64), *(np.asarray(found[key]) for key in keys)])
        places = np.repeat(np.arange(len(keys)), shared)
        entries = _entries(rows, places, column, rarity, len(items))
        values = tuple((name, kept[name, text]) for name, text in keys)
        return cls(names, values, column, shared, rarity, entries, len(items))

    def followed_by(self, items: pl.DataFrame) -> AttributeTable:
        """These items and then new ones. What counts, and how much, stays as it was: a value that is new, too,
        connects nothing until the next fit."""
        rows: list[int] = []
        places: list[int] = []
        for name, column in _columns(items):
            for item, had in enumerate(column):
                known = [self.place(name, value_text(value)) for value in had]
                own = [place for place in known if place is not None]
                rows += [item] * len(own)
                places += own
        held = np.asarray(places, dtype=np.int64)
        added = _entries(np.asarray(rows, dtype=np.int64), held, self.column, self.rarity, len(items))
        return replace(self, entries=sp.csr_matrix(sp.vstack([self.entries, added], format="csr")))

    def between(self, sources: NDArray[np.int64], items: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """(S, C) what each of S items shares with each of C, by name of the column."""
        left, right = self.entries[sources], sp.csr_matrix(self.entries[items].T)
        columns, found = self.column[left.indices], {}
        for place, name in enumerate(self.names):
            own = sp.csr_matrix((left.data * (columns == place), left.indices, left.indptr), shape=left.shape)
            found[name] = np.asarray((own @ right).toarray(), dtype=np.float64)
        return found

    def of_item(self, item: int) -> NDArray[np.int32]:
        """The values that one item has, as places in `values`."""
        return self.entries.indices[self.entries.indptr[item] : self.entries.indptr[item + 1]]

    def in_common(self, one: int, other: int) -> list[tuple[int, float]]:
        """Values that both have, with what each adds to the product of their rows."""
        both, left, right = np.intersect1d(self.of_item(one), self.of_item(other), return_indices=True)
        start, end = self.entries.indptr[one], self.entries.indptr[other]
        amounts = self.entries.data[start + left] * self.entries.data[end + right]
        return list(zip(both.tolist(), amounts.tolist(), strict=True))

    def place(self, name: str, text: str) -> int | None:
        """The place of a value, None where no two items share it."""
        return self._places.get((name, text))

    @cached_property
    def _places(self) -> dict[tuple[str, str], int]:
        return {(name, value_text(value)): place for place, (name, value) in enumerate(self.values)}


def _columns(items: pl.DataFrame) -> Iterable[tuple[str, Iterable[Sequence[object]]]]:
    """Name and values of each item, attribute by attribute. A column beside its plural is one attribute with it; one
    without a name is none, nor is one that takes the name of words of titles."""
    columns: dict[str, list[str]] = {}
    for name, kind in items.schema.items():
        if not names_attribute(name):
            continue
        if isinstance(kind, pl.List) and kind.inner == pl.String and name not in _NOT:
            columns.setdefault(_SINGULAR.get(name, name), []).append(name)
        elif not (name in _NOT or kind.is_nested() or kind.is_float() or kind.is_temporal() or kind in _BARE):
            columns.setdefault(name, []).append(name)
    if TITLE in items.columns:
        columns.setdefault(WORDS, []).append(TITLE)
    for attribute, names in columns.items():
        values = [_values(items[name]) for name in names]
        yield attribute, values[0] if len(values) == 1 else map(_merged, zip(*values, strict=True))


def _values(column: pl.Series) -> Iterable[Sequence[object]]:
    """What each item has in one column."""
    if column.name == TITLE:
        return (sorted(set(_WORD.findall((one or "").casefold()))) for one in column.to_list())
    if isinstance(column.dtype, pl.List):
        return (_distinct(had) for had in column.to_list())
    if column.dtype.is_decimal():  # exact as text; JSON has no such numbers
        return ([] if one is None else [f"{one:f}"] for one in column.to_list())
    return ([] if one is None or one == "" else [one] for one in column.to_list())


def _merged(several: tuple[Sequence[object], ...]) -> list[object]:
    """What an item has in any of several columns, each value once."""
    found: dict[str, object] = {}
    for had in several:
        for value in had:
            found.setdefault(value_text(value), value)
    return list(found.values())


def _distinct(had: Sequence[object] | None) -> list[object]:
    return [one for one in dict.fromkeys(had or ()) if one is not None and one != ""]


def _entries(
    rows: NDArray[np.int64],
    places: NDArray[np.int64],
    column: NDArray[np.int64],
    rarity: NDArray[np.float64],
    n_items: int,
) -> sp.csr_matrix:
    """Row `rows[n]` has the value `places[n]`."""
    n_names = int(column.max(initial=-1)) + 1
    owned = np.zeros((n_items, n_names))
    np.add.at(owned, (rows, column[places]), 1.0)
    data = np.sqrt(rarity[places]) / np.sqrt(np.maximum(owned[rows, column[places]], 1.0))
    made = sp.csr_matrix((data.astype(np.float32), (rows, places)), shape=(n_items, len(column)))
    made.sort_indices()
    return made
