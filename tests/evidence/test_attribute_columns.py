"""What columns of a catalogue become attributes, and as which values."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from dynmm.evidence.attributes import WORDS, AttributeTable
from dynmm.factids import FactId
from dynmm.interactions.itemtable import unspoken_columns


def _table(**columns: pl.Series) -> AttributeTable:
    return AttributeTable.of(pl.DataFrame({"item_id": [f"i{n}" for n in range(8)], **columns}))


def test_a_decimal_is_a_value_that_json_holds() -> None:
    prices = [Decimal("9.90"), Decimal("9.90"), Decimal("12.00"), Decimal("12.00"), None, *[Decimal("0.00")] * 3]
    table = _table(price=pl.Series(prices, dtype=pl.Decimal(10, 2)))
    assert table.values == (("price", "9.90"), ("price", "12.00"), ("price", "0.00"))
    assert json.loads(json.dumps(table.values)) == [list(one) for one in table.values]
    assert table.place("price", "9.90") == 0
    assert FactId.attribute("price", table.values[0][1], "i1", "i0").text == "attribute:price=9.90:i1>i0"
    assert table.shared.tolist() == [2, 2, 3]


def _lists(*values: list[str] | None) -> pl.Series:
    return pl.Series(values, dtype=pl.List(pl.String))


@pytest.mark.parametrize(("many", "one"), [("categories", "category"), ("tags", "tag"), ("genres", "genre")])
@pytest.mark.parametrize("first", ["many", "one"])
def test_a_column_beside_its_plural_is_one_attribute(many: str, one: str, first: str) -> None:
    several = _lists(["Drama"], ["Drama", "War"], None, ["War"], [], ["Drama"], None, None)
    single = pl.Series(["Drama", "Drama", "War", "Drama", None, "", "War", None])
    columns = {many: several, one: single}
    table = _table(**{name: columns[name] for name in ((many, one) if first == "many" else (one, many))})
    together = _table(
        **{many: _lists(["Drama"], ["Drama", "War"], ["War"], ["War", "Drama"], [], ["Drama"], ["War"], None)}
    )
    assert table.names == (one,)
    assert dict(zip(table.values, table.shared.tolist(), strict=True)) == {(one, "Drama"): 4, (one, "War"): 4}
    places = [together.values.index(value) for value in table.values]
    assert np.array_equal(table.entries.toarray(), together.entries.toarray()[:, places])


@pytest.mark.parametrize("name", ["", "  ", "title word", "Title Word"])
def test_a_column_that_no_fact_can_name_is_no_attribute(name: str) -> None:
    pairs = pl.Series(["a", "a", "b", "b", "c", "c", "d", "d"])
    titles = pl.Series([f"a{n} {one}" for n, one in enumerate(["zebra", "zebra", *"pqrstu"])])
    table = _table(title=titles, **{name: pairs, "maker": pairs})
    assert table.names == ("maker", WORDS)
    assert [value for column, value in table.values if column == WORDS] == ["zebra"]
    assert all(FactId.attribute(*value, "i1", "i0").text for value in table.values)
    (said,) = unspoken_columns(pl.DataFrame({"item_id": ["i0"], name: ["a"], "maker": ["a"]}))
    assert "is no attribute" in said


def test_a_column_without_its_plural_is_as_it_was() -> None:
    table = _table(
        categories=_lists(["a", "b"], ["b", "a"], ["a"], None, ["b"], None, None, None), brand=pl.Series(["x"] * 8)
    )
    assert table.values == (("category", "a"), ("category", "b"))
    assert table.entries.indices.tolist() == [0, 1, 0, 1, 0, 1]
