"""A system whose score can be added up by hand: what an item has by itself, and so much for each history item."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from dynmm.evaluation.explaining import Asked, Surroundings
from dynmm.factids import FactId
from dynmm.interactions.vocabulary import Vocabulary
from dynmm.system import Query, Rankings
from dynmm.topk import rank_in_blocks
from dynmm.types import Claim, Evidence, Explained, Rationale, UserHistory


class Adding:
    """score(i) = own[i] + sum over the history's distinct j of pairs[j, i]; each j a fact of its own."""

    def __init__(self, own: Sequence[float], pairs: NDArray[np.float64]) -> None:
        """own: (I,). pairs: (I, I)."""
        self.own, self.pairs = np.asarray(own, dtype=np.float64), pairs
        self.ids = Vocabulary([f"i{item}" for item in range(len(own))])
        self.calls = 0

    def scores(self, query: Query, removed: Sequence[str] = (), sources: Sequence[int] = ()) -> NDArray[np.float64]:
        scores = self.own.copy()
        for j in sorted({int(item) for item in query.history.items} - set(sources)):
            for i in np.flatnonzero(self.pairs[j]):
                if self.fact(j, int(i)) not in removed:
                    scores[i] += self.pairs[j, i]
        return scores

    def fact(self, j: int, i: int) -> str:
        return FactId("together", self.ids.decode(i), (self.ids.decode(j),)).text

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        def score(block: Sequence[Query]) -> torch.Tensor:
            return torch.tensor(np.stack([self.scores(query) for query in block]), dtype=torch.float32)

        return rank_in_blocks(score, queries, k, len(self.own))

    def explain(self, query: Query, item: int) -> Explained:
        return self.explain_without(query, item, (), ())

    def explain_without(self, query: Query, item: int, evidence: Sequence[str], sources: Sequence[int]) -> Explained:
        self.calls += 1
        scores = self.scores(query, evidence, sources)
        kept = sorted({int(one) for one in query.history.items} - set(sources))
        facts = [
            Evidence(self.fact(j, item), "together", self.ids.decode(item), (self.ids.decode(j),), {"users": 9}, value)
            for j in kept
            if (value := float(self.pairs[j, item])) and self.fact(j, item) not in evidence
        ]
        facts.sort(key=lambda one: (-one.contribution, one.id))
        candidates = np.arange(len(scores)) if query.candidates is None else np.asarray(query.candidates)
        candidates = np.setdiff1d(candidates, query.exclude)
        rank = 1 + int((scores[candidates] > scores[item]).sum()) if item in candidates else 0
        parts = {"latent": float(self.own[item]), "evidence": float(scores[item] - self.own[item])}
        return Explained(self.ids.decode(item), float(scores[item]), rank, parts, tuple(facts), 0.0, 100)


def asked(history: Sequence[int], item: int, user: int = 0) -> Asked:
    items = np.array(history, np.int32)
    return Asked(user, Query(UserHistory(items), exclude=items), item)


def surroundings(system: Adding, counts: Sequence[int] = (), near: Sequence[int] = ()) -> Surroundings:
    """near: the latent neighbours of every item."""
    known = np.array(counts or [1] * len(system.own), np.int64)
    return Surroundings(system.ids, known, lambda _, n: list(near)[:n])


def write(query: Query, explained: Explained, view: str, k: int) -> Rationale:
    """The two strongest facts, one claim each. The public view tells those above .5 x k alone."""
    told = [
        one for one in explained.evidence if one.contribution > 0 and (view == "operator" or one.contribution > k / 2)
    ]
    claims = tuple(
        Claim(one.kind, f"{one.sources[0]}: {one.facts['users']} people", (one.id,), one.facts) for one in told[:2]
    )
    whole = sum(one.contribution for one in explained.evidence)
    share = sum(one.contribution for one in told[:2]) / whole if whole else 0.0
    text = "; ".join(claim.text for claim in claims) or "nothing may be said"
    return Rationale(None, explained.item, text, explained.as_of_offset, claims, view, k, share)
