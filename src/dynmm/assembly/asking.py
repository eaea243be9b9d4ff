"""One question of a stream, asked with several spaces of vectors while facts are read once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dynmm.adapter.space import at_rest
from dynmm.assembly.searching import Search, rank_within
from dynmm.evidence.score import EvidenceScore
from dynmm.evidence.system import latent_of
from dynmm.protocols import VectorSpace
from dynmm.system import PADDING, Query
from dynmm.topk import rank_in_blocks
from dynmm.types import FloatArray, IntArray


class Asked:
    """What all stages below the re-ranker say to a question, with any vectors, before any of them counts on."""

    def __init__(self, query: Query, search: Search | None, evidence: EvidenceScore | None) -> None:
        """search: the index over the vectors, None for exact search. evidence: None where facts add nothing."""
        self.query, self._search, self._evidence = query, search, evidence

    def user(self, space: VectorSpace) -> Tensor:
        """(1, D) where the user stands."""
        return space.user_vectors([self.query.history])

    def best(self, space: VectorSpace, k: int) -> IntArray:
        """The best k items by these vectors and by facts, best first; fewer where there are fewer."""
        n_items = len(at_rest(space).item_vectors)
        k = min(k, n_items)
        if self._search is not None or self._evidence is None:
            found = rank_within(space, self._search, self._evidence, [self.query], k).items[0]
        else:
            scores = latent_of(self.user(space), space) + torch.from_numpy(self._facts)
            found = rank_in_blocks(lambda _: scores, [self.query], k, n_items).items[0]
        return np.asarray(found[found != PADDING])

    def beside(self, items: IntArray) -> FloatArray:
        """(C,) what facts add to the scores of some items."""
        if self._evidence is None:
            return np.zeros(len(items))
        added = self._facts[0, items] if self._search is None else self._evidence.on(self.query, items)
        return np.asarray(added, np.float64)

    @cached_property
    def _facts(self) -> NDArray[np.float32]:
        assert self._evidence is not None, "only where there are facts"
        facts: NDArray[np.float32] = self._evidence.scores([self.query])
        return facts
