"""What a stream is replayed through: the run as fitted, anew for each system, so that none learns for another."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar

import numpy as np
import torch

from dynmm.assembly.books import Books
from dynmm.assembly.measured import as_fitted
from dynmm.assembly.moving import moving_for
from dynmm.assembly.whole import Whole
from dynmm.evaluation.ladder import FROZEN
from dynmm.interactions.dataset import Dataset
from dynmm.recommender import Recommender
from dynmm.system import Query, Rankings, System
from dynmm.types import Events


class Frozen:
    """A whole that learns nothing: what is new enters through the histories alone."""

    name = FROZEN
    learns_online: ClassVar[bool] = False

    def __init__(self, whole: Whole) -> None:
        self._whole = whole

    def fit(self, dataset: Dataset) -> None:
        """Fit every stage, as configured."""
        self._whole.fit(dataset)

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """The best k items by all stages, as fitted."""
        return self._whole.rank(queries, k)

    def learn(self, events: Events) -> None:
        """Learns nothing."""


def alone(recommender: Recommender) -> Whole:
    """The run as fitted, with counts of its own: what it learns nobody else knows, the run included."""
    twin = copy.copy(as_fitted(recommender))
    twin.equip(None if twin.evidence is None else twin.evidence.apart())
    twin.books = None if twin.books is None else Books(twin.books.counted)
    return twin


def with_adapter(recommender: Recommender, window: str) -> Whole:
    """What is measured on a stream: the run as fitted, with an adapter that has learned nothing yet.

    window: of the stream, as 1h; the adapter's own holds where the run's `adapter.window` names one.
    """
    twin = alone(recommender)
    twin.moving = moving_for(recommender, twin.frozen_space, window=window, together=True)
    return twin


def frozen_sha256(recommender: Recommender) -> str:
    """Of what moves with the next fit alone: backbone, joint stage and its vectors, weights of facts, re-rankers."""
    whole = as_fitted(recommender)
    digest = hashlib.sha256(whole.backbone.parameter_hash().encode())
    if whole.joint is not None:
        digest.update(whole.joint.parameter_hash().encode())
    digest.update(whole.frozen_space.item_vectors.cpu().contiguous().numpy().tobytes())
    if whole.evidence is not None:
        digest.update(np.ascontiguousarray(whole.evidence.weights.effective).tobytes())
        digest.update(repr(whole.evidence.weights.newcomers).encode())
    for kind, kept in sorted(whole.reranked.fitted.items()) if whole.reranked is not None else ():
        ranker = kept.reranking.ranker
        assert isinstance(ranker, torch.nn.Module), "re-rankers that were fitted here have weights"
        digest.update(kind.encode())
        for name, value in sorted(ranker.state_dict().items()):
            digest.update(f"{name}{tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def lower_rungs(recommender: Recommender) -> tuple[Mapping[str, Callable[[], System]], str]:
    """Each rung below the highest, made when its turn comes; and the name of the highest, which is `dynmm/static`."""
    *lower, top = as_fitted(recommender).rungs()
    return {name: partial(_rung, recommender, name) for name in lower}, top


def _rung(recommender: Recommender, name: str) -> System:
    return alone(recommender).rungs()[name]
