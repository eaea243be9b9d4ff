"""Facts as they stood at each of many questions that follow one another in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

import numpy as np

from dynmm.evidence.items import ItemStatistics
from dynmm.evidence.neighbours import NeighbourTerms
from dynmm.evidence.terms import Terms
from dynmm.interactions.cases import Cases

#: Questions in a row that read the same counts: what happens among them is known a little late.
FRESH = 64

AnyTerms = TypeVar("AnyTerms", bound="Terms | NeighbourTerms")


class Passing(Generic[AnyTerms]):
    """Counts that advance with the questions. Where those have no order of time, they stay as they are."""

    def __init__(self, terms: AnyTerms, cases: Cases) -> None:
        self._cases, self._done = cases, 0
        self.terms: AnyTerms = terms
        if cases.along is not None:
            self.terms = replace(terms, pairs=terms.pairs.apart(), items=terms.items.apart())

    def at(self, case: int) -> AnyTerms:
        """The facts that a case may know. Cases are asked in their order."""
        along, passed = self._cases.along, self._cases.passed
        if along is not None and passed is not None and passed[case] > self._done:
            events = along.take(slice(self._done, int(passed[case])))
            self.terms.pairs.append(events)
            self.terms.items.append(events)
            self._done = int(passed[case])
        return self.terms


def moments(counts: ItemStatistics, cases: Cases) -> Iterator[int | None]:
    """The moment of each case, ms UTC, once all that it may know of is added to the counts. cases: such as follow one
    another in time."""
    assert cases.along is not None, "cases that follow one another in time"
    assert cases.passed is not None
    done = 0
    for case, passed in enumerate(cases.passed.tolist()):
        counts.append(cases.along.take(slice(done, passed)))
        done = passed
        yield cases.query(case).as_of


def blocks(cases: Cases, chosen: Sequence[int] | np.ndarray, rows: int) -> Iterator[list[int]]:
    """Chosen cases in portions of at most ``rows``, smaller where counts advance between them.

    chosen: in any order, but where they follow one another in time: then ascending. See `Cases.in_time`.
    """
    size = rows if cases.along is None else min(rows, FRESH)
    for start in range(0, len(chosen), size):
        yield [int(case) for case in chosen[start : start + size]]
