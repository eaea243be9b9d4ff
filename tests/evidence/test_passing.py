"""Facts as they stood at each question: those of a build on all that had happened by then."""

from __future__ import annotations

import numpy as np

from dynmm.evidence.attributes import AttributeTable
from dynmm.evidence.items import ItemStatistics
from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.passing import FRESH, Passing, blocks
from dynmm.evidence.terms import Terms
from dynmm.evidence.trend import TrendSettings
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits.cut import cut_last, cut_time
from dynmm.testing.data import tiny_dataset


def _terms(data: Dataset) -> Terms:
    return Terms(
        pairs=PairStatistics.of(data),
        items=ItemStatistics.of(data, TrendSettings(days=(1,))),
        likeness=(),
        attributes=AttributeTable.of(data.item_table),
        recencies=(0.9,),
        trend_days=(1,),
        n_items=data.n_items,
    )


_DATA = tiny_dataset(users=20, events=300)


def test_counts_advance_to_each_question_and_those_of_the_fit_stay() -> None:
    cut = cut_time(_DATA, 0.3, 1_000)
    terms = _terms(cut.before)
    passing, whole = Passing(terms, cut.asked), _terms(_DATA)
    weights = np.ones(len(terms.columns))
    first, last = cut.asked.query(0), cut.asked.query(len(cut.asked) - 1)
    before = terms.total([last], weights)
    assert np.array_equal(passing.at(0).total([first], weights), terms.total([first], weights))
    late = passing.at(len(cut.asked) - 1).total([last], weights)
    assert not np.array_equal(late, before)
    assert np.array_equal(terms.total([last], weights), before)
    assert cut.asked.passed is not None
    assert cut.asked.along is not None
    rest = cut.asked.along.take(slice(int(cut.asked.passed[-1]), len(cut.asked.along)))
    passing.terms.pairs.append(rest)
    passing.terms.items.append(rest)
    assert np.array_equal(passing.terms.total([last], weights), whole.total([last], weights))


def test_questions_without_an_order_of_time_share_the_counts_of_the_fit() -> None:
    cut = cut_last(_DATA)
    terms = _terms(cut.before)
    assert Passing(terms, cut.asked).at(5) is terms


def test_blocks_are_short_where_counts_advance() -> None:
    along, still = cut_time(_DATA, 0.5, 1_000).asked, cut_last(_DATA).asked
    assert max(len(block) for block in blocks(along, range(len(along)), 999)) == FRESH
    assert [len(block) for block in blocks(still, range(len(still)), 999)] == [len(still)]
    assert [case for block in blocks(along, range(len(along)), 999) for case in block] == list(range(len(along)))
