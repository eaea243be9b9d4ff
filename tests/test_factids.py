"""Fact ids: every part survives, one fact has one name, and what names no fact is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm.errors import DataError
from dynmm.factids import FactId, value_text

PARTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
FACTS = st.one_of(
    st.builds(lambda kind, j, i: FactId(kind, i, (j,)), st.sampled_from(["followed", "together"]), PARTS, PARTS),
    st.builds(lambda js, i: FactId("union", i, tuple(js)), st.lists(PARTS, min_size=1, max_size=4, unique=True), PARTS),
    st.builds(FactId.attribute, PARTS, PARTS | st.integers() | st.booleans() | st.floats(), PARTS, PARTS),
    st.builds(lambda modality, j, i: FactId("alike", i, (j,), modality), PARTS, PARTS, PARTS),
    st.builds(FactId.trend, st.integers(1, 999), st.integers(-(10**15), 10**15), PARTS),
    st.builds(lambda i: FactId("taken", i), PARTS),
)


@given(FACTS)
@settings(max_examples=300, deadline=None)
def test_a_fact_is_found_again_from_its_text(fact: FactId) -> None:
    assert FactId.parse(fact.text) == fact
    assert fact.text.isascii()


@given(FACTS, FACTS)
@settings(max_examples=200, deadline=None)
def test_different_facts_have_different_names(one: FactId, other: FactId) -> None:
    assert (one.text == other.text) == (one == other)


def test_ids_read_as_they_are_documented() -> None:
    assert FactId("followed", "i", ("j",)).text == "followed:j>i"
    assert FactId("union", "i>", ("a,b", "c")).text == "union:a%2Cb,c>i%3E"
    assert FactId.attribute("year", 1995, "j", "i").text == "attribute:year=1995:j>i"
    assert FactId("alike", "i", ("j",), "image").text == "alike:image:j>i"
    trend = FactId.trend(7, 1_500, "i")
    assert trend.text == "trend:7@1500>i"
    assert (trend.days, trend.moment) == (7, 1_500)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "followed",
        "followed:j",
        "followed:>i",
        "followed:j>",
        "followed:j>i>k",
        "followed:j,k>i",
        "followed: j>i",
        "followed:%6a>i",
        "followed:%ff>i",
        "follows:j>i",
        "union:j,j>i",
        "union:>i",
        "attribute:brand:j>i",
        "attribute:=Acme:j>i",
        "alike:j>i",
        "alike:image=dark:j>i",
        "trend:7>i",
        "trend:0@1>i",
        "trend:7.5@1>i",
        "trend:07@1>i",
        "trend:7@j>i",
        "trend:٧@1>i",
    ],
)
def test_what_names_no_fact_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="is no fact id"):
        FactId.parse(text)


@pytest.mark.parametrize(
    ("kind", "sources", "name", "value"),
    [
        ("followed", (), "", ""),
        ("followed", ("a",), "x", ""),
        ("followed", ("",), "", ""),
        ("followed", ("\ud800",), "", ""),
        ("trend", ("a",), "7", "1"),
        ("taken", ("a",), "", ""),
        ("taken", (), "7", ""),
        ("attribute", ("a",), "brand", ""),
    ],
)
def test_parts_that_make_no_fact_are_refused(kind: str, sources: tuple[str, ...], name: str, value: str) -> None:
    with pytest.raises(DataError, match="no fact is named so"):
        FactId(kind, "i", sources, name, value)


@pytest.mark.parametrize(("value", "text"), [("Ünï", "Ünï"), (1995, "1995"), (True, "true"), (0.5, "0.5")])
def test_values_in_ids(value: object, text: str) -> None:
    assert value_text(value) == text
