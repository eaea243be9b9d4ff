"""One text for each item, from whatever is known of it."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm.catalogue.texts import MAX_CHARACTERS, texts_of
from dynmm.interactions.fields import ITEM_SCHEMA

WORDS = st.none() | st.text(max_size=20)


def table(*rows: Mapping[str, object]) -> pl.DataFrame:
    return pl.DataFrame([{"item_id": str(number), **row} for number, row in enumerate(rows)], schema=ITEM_SCHEMA)


def test_the_parts_stand_in_their_order() -> None:
    row = {"title": "Oak chair", "brand": "Ash & Co.", "categories": ["Home", "Chairs"], "description": "It stands."}
    assert texts_of(table(row)) == ["Oak chair. Ash & Co. Home, Chairs. It stands."]


def test_what_is_not_known_is_left_out() -> None:
    rows = table({"title": "Oak chair"}, {"categories": [None, "Home", " "]}, {"description": " \n "}, {})
    assert texts_of(rows) == ["Oak chair", "Home", None, None]


def test_a_long_description_ends_at_a_word() -> None:
    (text,) = texts_of(table({"title": "Long", "description": "word " * 10_000}))
    assert text is not None
    assert text.endswith(" word")
    assert MAX_CHARACTERS - 5 <= len(text) <= MAX_CHARACTERS
    (unbroken,) = texts_of(table({"title": "x" * 10_000}))
    assert unbroken == "x" * MAX_CHARACTERS


@given(WORDS, WORDS, st.none() | st.lists(WORDS, max_size=3), WORDS)
@settings(max_examples=100)
def test_any_text_is_none_or_one_printable_line(
    title: str | None, brand: str | None, categories: list[str | None] | None, description: str | None
) -> None:
    row = {"title": title, "brand": brand, "categories": categories, "description": description}
    (text,) = texts_of(table(row))
    assert text is None or (text.strip() == text and text.isprintable() and text)
