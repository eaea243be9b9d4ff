"""What is removed in the place of the cited evidence, to tell what the cited evidence is worth.

Every control removes as many facts as were cited, of the same kinds where there are enough of them. A control may
say of a history item what does not hold of it, or name a neighbour that the user never took: nothing is removed then,
and that is what such an explanation is worth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dynmm.evaluation.explaining import Asked, Surroundings
from dynmm.factids import FactId
from dynmm.types import Evidence, Explained

#: The controls by name. `random`: what was cited, said of any items of the user's history, as drawn by lot.
#: `random facts`: any of the facts behind this very score, the cited ones among them; the hardest to beat.
#: `popular`: what was cited, said of the most popular items of the history. `nearest`: said of the item's latent
#: neighbours, whoever asks.
CONTROLS = ("random", "random facts", "popular", "nearest")


@dataclass(frozen=True, eq=False)
class Told:
    """An explanation, and which of its facts it cites."""

    asked: Asked
    explained: Explained
    cited: tuple[Evidence, ...]

    @classmethod
    def of(cls, asked: Asked, explained: Explained, cited: Sequence[str]) -> Told:
        """Raises ValueError where a cited fact is not part of the explanation."""
        by_id = {one.id: one for one in explained.evidence}
        for one in cited:
            if one not in by_id:
                raise ValueError(f"{explained.item!r}: the fact {one!r} is cited but stands in no part of the score")
        return cls(asked, explained, tuple(by_id[one] for one in dict.fromkeys(cited)))

    @property
    def sources(self) -> tuple[str, ...]:
        """History items that the cited facts start from, each once."""
        return tuple(dict.fromkeys(source for one in self.cited for source in one.sources))


def facts_of(control: str, told: Told, around: Surroundings, rng: np.random.Generator) -> list[str]:
    """Ids of the facts that a control removes; at most as many as were cited. Raises KeyError for another name."""
    return _FACTS[control](told, around, rng)


def items_of(control: str, told: Told, around: Surroundings, rng: np.random.Generator) -> list[int]:
    """Dense history items that a control removes, at most as many as the cited facts start from."""
    n, history = len(told.sources), np.unique(told.asked.query.history.items)
    if control == "nearest":
        return [item for item in around.neighbours(told.asked.item, n) if item in history]
    if control == "popular":
        return [int(item) for item in history[np.argsort(-around.counts[history], kind="stable")][:n]]
    if control == "random":
        return sorted(int(item) for item in rng.choice(history, size=min(n, len(history)), replace=False))
    raise KeyError(control)


def _random_items(told: Told, around: Surroundings, rng: np.random.Generator) -> list[str]:
    history = np.unique(told.asked.query.history.items)
    return _of_others(told, lambda: [int(item) for item in rng.permutation(history)], around, rng)


def _popular(told: Told, around: Surroundings, rng: np.random.Generator) -> list[str]:
    history = np.unique(told.asked.query.history.items)
    order = np.argsort(-around.counts[history], kind="stable")
    return _of_others(told, lambda: [int(item) for item in history[order]], around, rng)


def _nearest(told: Told, around: Surroundings, rng: np.random.Generator) -> list[str]:
    n = sum(len(one.sources) for one in told.cited)
    near = around.neighbours(told.asked.item, n) if n else []
    return _of_others(told, lambda: near, around, rng)


def _of_others(
    told: Told, ordered: Callable[[], Sequence[int]], around: Surroundings, rng: np.random.Generator
) -> list[str]:
    """What was cited, said of other items: the first of `ordered`, which is asked once for each sort of fact.

    Facts that start from no item are replaced by any other.
    """
    removed: list[str] = []
    cited = [FactId.parse(one.id) for one in told.cited]
    left: dict[tuple[str, str, str], list[int]] = {}
    for fact in (one for one in cited if one.sources):
        items = left.setdefault((fact.kind, fact.name, fact.value), list(ordered()))
        sources = tuple(around.items.decode(item) for item in items[: len(fact.sources)])
        del items[: len(fact.sources)]
        if sources:
            removed.append(replace(fact, sources=sources).text)
    others = Counter(fact.kind for fact in cited if not fact.sources)
    return removed + _drawn(told, others, rng, taken=removed)


def _random_facts(told: Told, _: Surroundings, rng: np.random.Generator) -> list[str]:
    return _drawn(told, Counter(one.kind for one in told.cited), rng)


def _drawn(told: Told, wanted: Mapping[str, int], rng: np.random.Generator, *, taken: Sequence[str] = ()) -> list[str]:
    """So many facts of each kind, cited or not; of any kind where all facts of a kind were cited."""
    drawn: list[str] = []
    cited = Counter(one.kind for one in told.cited)
    for kind, n in wanted.items():
        left = [one for one in told.explained.evidence if one.id not in taken and one.id not in drawn]
        same = [one for one in left if one.kind == kind]
        pool = same if sum(one.kind == kind for one in told.explained.evidence) > cited[kind] else left
        drawn += [pool[place].id for place in rng.permutation(len(pool))[:n]]
    return drawn


_FACTS: Mapping[str, Callable[[Told, Surroundings, np.random.Generator], list[str]]] = {
    "random": _random_items,
    "random facts": _random_facts,
    "popular": _popular,
    "nearest": _nearest,
}
