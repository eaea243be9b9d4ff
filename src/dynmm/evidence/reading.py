"""The facts between one history and some candidates, side by side, as a re-ranker reads them.

C candidates, S distinct history items, F facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.attributes import AttributeTable
from dynmm.evidence.pairfacts import PAIR_FACTS
from dynmm.evidence.parts import Part
from dynmm.evidence.terms import Terms
from dynmm.system import Query
from dynmm.types import FloatArray, IntArray

#: By dense candidate: the parts of its evidence that are not to be read.
Hidden = dict[int, list[Part]]


@dataclass(frozen=True, eq=False)
class FactReader:
    """Reads every column of the score, and how the strongest single history item speaks.

    Beside the columns: `most` of each fact of pairs and of each likeness, its largest value over the history; `people`,
    log(1 + distinct users) of the pair that most people stand behind; `sources`, history items that anybody took with
    the candidate.
    """

    terms: Terms

    @property
    def names(self) -> tuple[str, ...]:
        """(F,) in the order in which they are read."""
        most = [*PAIR_FACTS, *(f"alike {one.modality}" for one in self.terms.likeness)]
        return (*(one.label for one in self.terms.columns), *(f"most {fact}" for fact in most), "people", "sources")

    def read(self, query: Query, candidates: IntArray, hidden: Hidden | None = None) -> NDArray[np.float32]:
        """(C, F), each row the same to the bit whichever other candidates come with it.

        candidates: (C,) dense. hidden: parts that are not to be read, as if they were no facts.
        """
        own = np.asarray(candidates, dtype=np.int64)
        sources, amounts = self.terms.past(query.history)
        columns: list[FloatArray] = []
        most: list[FloatArray] = []
        beside = [np.zeros(len(own)), np.zeros(len(own))]
        if len(sources):
            lost = _Lost.of(hidden or {}, own, sources)
            shares = [amounts[r] / amounts[r].sum() for r in self.terms.recencies]
            grid = self.terms.pairs.between(sources, own)
            for fact, values in self.terms.facts_on(grid, sources, own).items():
                shown = lost.kept(values, PAIR_FACTS[fact])
                columns += [_over(amounts[r], shown) for r in self.terms.recencies]
                most.append(shown.max(axis=0))
            for one in self.terms.likeness:
                near = lost.kept(_cosines(one.vectors, sources, own), "alike", one.modality)
                columns += [_over(share, near) for share in shares]
                columns += [_over(share, near) * self.terms.newness(own) for share in shares]
                most.append(near.max(axis=0))
            for shared in lost.unshared(self.terms.attributes, sources, own):
                columns += [_over(share, shared) for share in shares]
            people = lost.kept(np.asarray(grid.users, dtype=np.float64), "together")
            beside = [np.log1p(people.max(axis=0)), (people > 0).sum(axis=0).astype(np.float64)]
        else:
            histories = sum(one.recency > 0 for one in self.terms.columns)
            columns = [np.zeros(len(own))] * histories
            most = [np.zeros(len(own))] * (len(PAIR_FACTS) + len(self.terms.likeness))
        columns += self._trends(query, own, hidden or {})
        return np.stack([*columns, *most, *beside], axis=1).astype(np.float32)

    def _trends(self, query: Query, own: NDArray[np.int64], hidden: Hidden) -> Iterator[FloatArray]:
        named = [(place, hidden[item]) for place, item in enumerate(own.tolist()) if item in hidden]
        for days in self.terms.trend_days:
            column = self.terms.trend(query.as_of, days, own).astype(np.float64)
            for place, parts in named:
                if any(part.kind == "trend" and part.name == str(days) for part in parts):
                    column[place] = 0.0
            yield column


@dataclass(frozen=True, eq=False)
class _Lost:
    """Places of the grid (source, candidate) that are not to be read, with the part that stood there."""

    places: tuple[tuple[int, int, Part], ...]

    @classmethod
    def of(cls, hidden: Hidden, candidates: NDArray[np.int64], sources: NDArray[np.int64]) -> _Lost:
        rows = {int(source): row for row, source in enumerate(sources)}
        columns = {int(item): column for column, item in enumerate(candidates)}
        return cls(
            tuple(
                (rows[part.source], columns[item], part)
                for item, parts in hidden.items()
                if item in columns
                for part in parts
                if part.source in rows
            )
        )

    def kept(self, values: FloatArray, kind: str, name: str = "") -> FloatArray:
        """(S, C) with zeros where a part of this kind is hidden."""
        gone = [(row, column) for row, column, part in self.places if part.kind == kind and part.name == name]
        return _zeroed(values, gone)

    def unshared(
        self, table: AttributeTable, sources: NDArray[np.int64], own: NDArray[np.int64]
    ) -> Iterator[FloatArray]:
        """(S, C) what is shared in each column, less the hidden values."""
        for name, shared in table.between(sources, own).items():
            for row, place, part in self.places:
                if part.kind == "attribute" and part.name == name:
                    amounts = dict(table.in_common(int(sources[row]), int(own[place])))
                    shared[row, place] -= amounts.get(part.value, 0.0)
            yield shared


def _zeroed(values: FloatArray, places: Iterable[tuple[int, int]]) -> FloatArray:
    some = list(places)
    if not some:
        return values
    kept = values.copy()
    for row, column in some:
        kept[row, column] = 0.0
    return kept


def _over(amounts: FloatArray, values: FloatArray) -> FloatArray:
    """(C,) weighed sum over the history, candidate by candidate so that no sum depends on the others."""
    found: FloatArray = (np.ascontiguousarray(values.T) * amounts).sum(axis=1)
    return found


def _cosines(vectors: NDArray[np.float32], sources: NDArray[np.int64], own: NDArray[np.int64]) -> FloatArray:
    found: FloatArray = np.einsum("sd,cd->sc", vectors[sources], vectors[own]).astype(np.float64)
    return found
