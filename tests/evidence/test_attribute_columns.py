"""What columns of a catalogue become attributes, and as which values."""

from __future__ import annotations

import json
from decimal import Decimal

import polars as pl

from dynmm.evidence.attributes import AttributeTable
from dynmm.factids import FactId


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
