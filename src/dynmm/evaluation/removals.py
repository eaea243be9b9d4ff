"""Explaining again without chosen facts or history items, and what the score and the rank lose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dynmm.evaluation.controls import Told
from dynmm.evaluation.explaining import Explainer

#: What is lost by a removal, in this order: the score's own units; places in the ranking; 1 where the item was
#: among the best `TOP` and is no longer.
LOSSES = ("score", "rank", "left the top")
TOP = 10

Loss = tuple[float, float, float]


@dataclass(eq=False)
class Removals:
    """Removals from one explanation. The same removal is computed once.

    worst: the rank of an item that is no candidate any more, the number of candidates.
    """

    explainer: Explainer
    told: Told
    worst: int
    _known: dict[tuple[frozenset[str], frozenset[int]], Loss] = field(default_factory=dict)

    def without_facts(self, ids: Iterable[str]) -> Loss:
        """Lost without these facts."""
        return self._loss(frozenset(ids), frozenset())

    def with_facts_only(self, ids: Iterable[str]) -> Loss:
        """Lost with these facts alone, of those that can be told."""
        return self._loss(frozenset(one.id for one in self.told.explained.evidence) - frozenset(ids), frozenset())

    def without_items(self, items: Iterable[int]) -> Loss:
        """Lost as if the user had never taken these."""
        return self._loss(frozenset(), frozenset(items))

    def with_items_only(self, items: Iterable[int]) -> Loss:
        """Lost as if the user had taken nothing but these."""
        history = frozenset(int(item) for item in self.told.asked.query.history.items)
        return self._loss(frozenset(), history - frozenset(items))

    def _loss(self, evidence: frozenset[str], sources: frozenset[int]) -> Loss:
        if not evidence and not sources:
            return 0.0, 0.0, 0.0
        known = self._known.get((evidence, sources))
        if known is None:
            asked, full = self.told.asked, self.told.explained
            left = self.explainer.explain_without(asked.query, asked.item, sorted(evidence), sorted(sources))
            before, after = full.rank or self.worst, left.rank or self.worst
            known = full.score - left.score, float(after - before), float(before <= TOP < after)
            self._known[evidence, sources] = known
        return known
