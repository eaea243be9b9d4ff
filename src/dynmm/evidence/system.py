"""Latent and evidence as a recommender: `dynmm/evidence`, the third rung of the ladder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch

from dynmm.evidence.score import EvidenceScore
from dynmm.interactions.dataset import Dataset
from dynmm.protocols import VectorSpace
from dynmm.system import Query, Rankings
from dynmm.topk import SAME_KERNEL_ROWS, rank_in_blocks
from dynmm.types import Events

#: A fitted latent and the evidence beside it.
Fitted = tuple[VectorSpace, EvidenceScore]


class EvidenceSystem:
    """Ranks by the inner product of user and item, plus what facts add."""

    name = "dynmm/evidence"
    learns_online: ClassVar[bool] = True

    def __init__(self, fit: Callable[[Dataset], Fitted], fitted: Fitted | None = None) -> None:
        """fit: makes both from a data set. fitted: already there."""
        self._fit, self._fitted = fit, fitted

    @property
    def evidence(self) -> EvidenceScore:
        """The fitted evidence. Raises RuntimeError before `fit`."""
        return self._parts()[1]

    def fit(self, dataset: Dataset) -> None:
        """Fit every stage below, and the weights of the facts."""
        self._fitted = self._fit(dataset)

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """The best k items by latent and evidence, over the whole catalogue."""
        return rank_with_facts(*self._parts(), queries, k)

    def learn(self, events: Events) -> None:
        """Count them: the next ranking knows them."""
        self._parts()[1].learn(events)

    def _parts(self) -> Fitted:
        if self._fitted is None:
            raise RuntimeError("evidence is not fitted: call fit(dataset) first")
        return self._fitted


def rank_with_facts(space: VectorSpace, evidence: EvidenceScore, queries: Sequence[Query], k: int) -> Rankings:
    """The best k items by latent and evidence, over the whole catalogue."""

    def score(block: Sequence[Query]) -> torch.Tensor:
        return latent_scores(space, block) + torch.from_numpy(evidence.scores(block))

    return rank_in_blocks(score, queries, k, evidence.terms.n_items)


def latent_scores(space: VectorSpace, queries: Sequence[Query]) -> torch.Tensor:
    """(B, I) float32 on the CPU, each row the same to the bit whichever others come with it."""
    return latent_of(space.user_vectors([query.history for query in queries]), space)


def latent_of(users: torch.Tensor, space: VectorSpace) -> torch.Tensor:
    """`latent_scores` for users who stand here, (B, D)."""
    padded = torch.nn.functional.pad(users, (0, 0, 0, max(0, SAME_KERNEL_ROWS - len(users))))
    return (padded @ space.item_vectors.t())[: len(users)].cpu()
