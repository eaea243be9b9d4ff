"""Facts side by side: the columns of the score for some candidates, and what is hidden is not read."""

from __future__ import annotations

import numpy as np
import pytest
from tests.evidence.test_score_parts import ITEMS, _data, _queries, _terms

from dynmm import Dataset
from dynmm.evidence.gathering import hidden
from dynmm.evidence.reading import FactReader
from dynmm.evidence.score import EvidenceScore
from dynmm.evidence.terms import Terms
from dynmm.evidence.weights import Weights
from dynmm.factids import FactId
from dynmm.system import Query
from dynmm.types import UserHistory


@pytest.fixture(scope="module")
def data() -> Dataset:
    return _data()


@pytest.fixture(scope="module")
def terms(data: Dataset) -> Terms:
    return _terms(data)


@pytest.fixture(scope="module")
def score(terms: Terms) -> EvidenceScore:
    return EvidenceScore(terms, Weights(terms.columns, np.ones(len(terms.columns)), 1.0, 1, 1.0))


def test_the_columns_are_those_of_the_score(data: Dataset, terms: Terms) -> None:
    queries, reader = _queries(data), FactReader(terms)
    columns = np.stack(list(terms.each(queries)), axis=-1)
    some = np.asarray([30, 4, 9])
    for row, query in enumerate(queries):
        read = reader.read(query, some)
        assert read.shape == (3, len(reader.names))
        assert read[:, : len(terms.columns)] == pytest.approx(columns[row, some], abs=1e-4)
    assert np.abs(columns).max() > 1


def test_the_strongest_history_item_speaks_for_itself(terms: Terms) -> None:
    reader = FactReader(terms)
    alone, both = (
        reader.read(Query(UserHistory(np.asarray(items, np.int32)), 0), np.asarray([6])) for items in ([5], [20, 5])
    )
    place = reader.names.index("most followed")
    assert both[0, place] == pytest.approx(max(alone[0, place], 0.0))
    assert alone[0, place] > 0
    assert alone[0, reader.names.index("sources")] == 1


def test_nobody_changes_what_another_gets(data: Dataset, terms: Terms) -> None:
    reader = FactReader(terms)
    for query in _queries(data):
        every = reader.read(query, np.arange(ITEMS))
        for item in (0, 7, 39):
            assert np.array_equal(reader.read(query, np.asarray([item]))[0], every[item])


def test_what_is_hidden_is_not_read(data: Dataset, terms: Terms, score: EvidenceScore) -> None:
    query, reader = _queries(data)[0], FactReader(terms)
    last = int(query.history.items[-1])
    item = (last + 1) % ITEMS
    dense = {f"i{place:02d}": place for place in range(ITEMS)}
    fact = FactId("followed", f"i{item:02d}", (f"i{last:02d}",))
    gone = hidden(score, query, [fact], dense)
    assert [part.kind for part in gone[item]] == ["followed"]
    whole = reader.read(query, np.asarray([item, 3]))
    less = reader.read(query, np.asarray([item, 3]), gone)
    names = list(reader.names)
    for name in ("followed 0.4", "followed 0.9", "most followed"):
        assert less[0, names.index(name)] < whole[0, names.index(name)]
    kept = [place for place, name in enumerate(names) if "followed" not in name and "flow" not in name]
    assert np.array_equal(less[0, kept], whole[0, kept])
    assert np.array_equal(less[1], whole[1])


def test_hidden_parts_are_what_the_score_loses(data: Dataset, terms: Terms, score: EvidenceScore) -> None:
    query, reader = _queries(data)[1], FactReader(terms)
    for item in range(ITEMS):
        parts = score.parts(query, item)
        nothing = reader.read(query, np.asarray([item]), {item: parts})
        assert np.abs(nothing[0, : len(terms.columns)]).max() == pytest.approx(0.0, abs=1e-6)


def test_an_empty_history_has_no_facts_but_the_trend(data: Dataset, terms: Terms) -> None:
    now = int(data.events.timestamps.max())  # type: ignore[union-attr]
    read = FactReader(terms).read(Query(UserHistory(), now), np.arange(ITEMS))
    trends = [place for place, name in enumerate(FactReader(terms).names) if name.startswith("trend")]
    assert read[:, trends].sum() > 0
    assert np.delete(read, trends, axis=1).sum() == 0
