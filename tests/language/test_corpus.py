"""The corpus: distinct texts, some held out by the seed alone, the others without end and without loss."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynmm.errors import UnsupportedByData
from dynmm.interactions.fields import ITEM_SCHEMA
from dynmm.language import corpus
from dynmm.language.corpus import catalogue_corpus, held_apart, stream


def test_a_catalogue_gives_each_text_once() -> None:
    rows = {
        "item_id": ["a", "b", "c", "d"],
        "title": ["Soap", None, "Soap", "Brush"],
        "brand": ["Acme", None, "Acme", ""],
    }
    table = pl.DataFrame(rows | {"categories": [["Bath"], [], ["Bath"], None]}, schema_overrides=ITEM_SCHEMA)
    filled = table.with_columns(
        pl.lit(None, dtype=kind).alias(name) for name, kind in ITEM_SCHEMA.items() if name not in table
    )
    assert catalogue_corpus(filled) == ["Soap. Acme. Bath", "Brush"]


@given(st.lists(st.text(max_size=4), max_size=40), st.integers(0, 9))
def test_texts_are_parted_without_loss(texts: list[str], seed: int) -> None:
    distinct = {text.strip() for text in texts} - {""}
    if not distinct:
        with pytest.raises(UnsupportedByData):
            held_apart(texts, seed)
        return
    parted = held_apart(texts, seed)
    assert set(parted.training) | set(parted.held_out) == distinct
    assert len(parted.training) + len(parted.held_out) == len(distinct)
    assert parted == held_apart(texts, seed)
    assert bool(parted.held_out) == (len(distinct) > 1)


def test_of_a_very_large_catalogue_a_part_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"text {number:05d}" for number in range(1_000)]
    monkeypatch.setattr(corpus, "_MOST_LETTERS", 2_000)
    parted = held_apart(texts, 0)
    kept = [*parted.training, *parted.held_out]
    assert len(kept) == len(set(kept)) == 200
    assert len(parted.held_out) == 10
    assert parted.training == sorted(parted.training)
    monkeypatch.setattr(corpus, "_MOST_LETTERS", 1)
    assert len(held_apart(texts, 0).training) == 1


@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.integers(1, 20), st.integers(0, 3))
def test_the_stream_goes_round_all_documents_again_and_again(lengths: list[int], size: int, seed: int) -> None:
    documents = [np.full(length, place) for place, length in enumerate(lengths)]
    total, rounds = sum(lengths), 3
    blocks = list(itertools.islice(stream(documents, size, seed), -(-total * rounds // size)))
    assert all(len(block) == size for block in blocks)
    line = np.concatenate(blocks)[: total * rounds].reshape(rounds, total)
    for once in line:
        assert np.bincount(once, minlength=len(lengths)).tolist() == lengths
        assert len(list(itertools.groupby(once.tolist()))) == len(lengths)
