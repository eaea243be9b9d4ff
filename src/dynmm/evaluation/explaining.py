"""What the measurement of explanations asks of a system: to explain, to explain without, to put it in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dynmm.interactions.cases import Cases
from dynmm.interactions.vocabulary import Vocabulary
from dynmm.randomness import generator
from dynmm.system import PADDING, Query, Rankings
from dynmm.types import Explained, Rationale


class Explainer(Protocol):
    """A system that can take its scores apart. Items are dense; evidence is named by its ids."""

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """As `System.rank`."""
        ...

    def explain(self, query: Query, item: int) -> Explained:
        """The parts of one item's score."""
        ...

    def explain_without(self, query: Query, item: int, evidence: Sequence[str], sources: Sequence[int]) -> Explained:
        """The same with everything recomputed (shortlist, user vector, evidence, rank) as if these were not there.

        evidence: ids of facts; those that are no part of the score change nothing. sources: items of the history.
        """
        ...


#: How a system explains to one view ("operator" or "public") at one k: what is no fact for it is not among its facts.
Explaining = Callable[[str, int], Explainer]

#: Puts an explanation into words in one view ("operator" or "public") at one k.
Writer = Callable[[Query, Explained, str, int], Rationale]

#: Recomputes a rationale: for each of its claims, whether the stores bear it out.
Verifier = Callable[[Rationale], Sequence[bool]]

#: The share of the evidence term's positive part that could be told in one view at one k, if all were told; 0 to 1.
Tellable = Callable[[Explained, str, int], float]

#: The ids of the facts that an explanation cites, among those of `Explained.evidence`; none where it abstains.
Citing = Callable[[Query, Explained], Sequence[str]]

#: The n items that are nearest to an item in the latent space, nearest first, whoever asks. Dense.
Neighbours = Callable[[int, int], Sequence[int]]


@dataclass(frozen=True, eq=False)
class Asked:
    """Why was this item recommended to this user? user, item: dense."""

    user: int
    query: Query
    item: int


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What controls are drawn from.

    items: outside ids in dense order. counts: (I,) events of each item. neighbours: of an item, whoever asks.
    """

    items: Vocabulary
    counts: NDArray[np.int64]
    neighbours: Neighbours


def top_cited(n: int) -> Citing:
    """Cites the n strongest facts that raise the score: what a rationale of n claims cites."""

    def cite(_: Query, explained: Explained) -> list[str]:
        return [one.id for one in explained.evidence if one.contribution > 0][:n]

    return cite


def cited_by(write: Writer, *, view: str = "operator", k: int = 1) -> Citing:
    """Cites what the claims of a written rationale cite, each fact once."""

    def cite(query: Query, explained: Explained) -> list[str]:
        return list(dict.fromkeys(one for claim in write(query, explained, view, k).claims for one in claim.evidence))

    return cite


def recommended(explainer: Explainer, cases: Cases, *, users: int, depth: int = 1, seed: int = 0) -> list[Asked]:
    """The `depth` best items of up to `users` cases, which are drawn at random and kept in their order.

    Explained is what the system recommends, not what the user took: that is what a user is shown.
    """
    rng = generator(seed, "explained users", len(cases))
    chosen = np.sort(rng.choice(len(cases), size=min(users, len(cases)), replace=False))
    queries = [cases.query(int(case)) for case in chosen]
    found = explainer.rank(queries, depth).items
    return [
        Asked(int(cases.users[case]), query, int(item))
        for case, query, items in zip(chosen, queries, found, strict=True)
        for item in items
        if item != PADDING
    ]
