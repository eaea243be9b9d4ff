"""The index over the item vectors of the last stage: exact where the catalogue is small, else quantised."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dynmm.adapter.space import MovedSpace, vectors_at
from dynmm.evidence.score import EvidenceScore
from dynmm.evidence.system import rank_with_facts
from dynmm.fusion.joint import Joint
from dynmm.protocols import VectorSpace
from dynmm.retrieval.codes import faiss_module
from dynmm.retrieval.exact import ExactIndex
from dynmm.retrieval.index import ItemIndex, add_items, build_index, load_index
from dynmm.retrieval.requests import Limits
from dynmm.retrieval.settings import RetrievalSettings
from dynmm.retrieval.similar import Makings, Similar, similar
from dynmm.stages import StageCache
from dynmm.system import PADDING, Query, Rankings
from dynmm.topk import rank_by_vectors
from dynmm.types import IntArray, UserHistory

CODE_VERSION = 1

#: Candidates from each source, beside an index that finds those of the latent.
_SHORTLIST = 200


def index_of(space: VectorSpace, settings: RetrievalSettings, seed: int, cache: StageCache) -> Path | None:
    """The folder of the quantised index over a space, from the cache where it is there; None for exact search."""
    vectors = _plain(space.item_vectors)
    if settings.kind(len(vectors)) == "exact":
        return None
    digest = hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest()
    key = cache.key("index", data=digest, settings=settings, seed=seed, code_version=CODE_VERSION)
    if (found := cache.get(key)) is not None:
        return found / "index"
    users = space.user_vectors([UserHistory(np.asarray([item], np.int32)) for item in _spread(len(vectors), settings)])
    with cache.put(key) as folder:
        build_index(vectors, settings, folder / "index", seed, queries=_plain(users))
    return cache.folder(key) / "index"


def check_index(n_items: int, settings: RetrievalSettings) -> None:
    """Raises MissingExtraError where a catalogue of this size gets an index that this installation cannot build."""
    if settings.kind(n_items) == "pq":
        faiss_module()


class Search:
    """Ranks by a space through the quantised index that lies in a folder."""

    def __init__(self, folder: Path, *, base: Path | None = None) -> None:
        """base: the index of the items of the fit, where some were added."""
        self.folder, self.base = folder, base or folder
        self.index: ItemIndex = load_index(folder)

    def rank(self, space: VectorSpace, queries: Sequence[Query], k: int) -> Rankings:
        """The best k items of each query, re-ranked exactly in half precision.

        Items that have moved since the fit are scored in float32, where they stand now.
        """
        users = _plain(space.user_vectors([query.history for query in queries]))
        moved, places = _moved(space)
        if not len(moved):
            return self.index.search(users, k, Limits.of(queries))
        hidden = np.zeros(self.index.n_items, dtype=bool)
        hidden[moved] = True
        found = self.index.search(users, k, Limits.of(queries, hidden))
        for row, query in enumerate(queries):
            there = _allowed(query, moved)
            items = np.concatenate([found.items[row], moved[there]])
            scores = np.concatenate([found.scores[row], _products(places[there], users[row])])
            order = np.lexsort((items, -scores))[:k]
            found.items[row], found.scores[row] = items[order], scores[order]
        return found

    def with_items(self, vectors: torch.Tensor) -> Search:
        """The same with (N, D) more items behind the others, in a folder that lives as long as it."""
        held = Path(tempfile.mkdtemp(prefix="dynmm-index-"))
        try:
            add_items(self.folder, _plain(vectors), held / "index")
            larger = Search(held / "index", base=self.base)
        except BaseException:
            shutil.rmtree(held, ignore_errors=True)
            raise
        weakref.finalize(larger, shutil.rmtree, held, ignore_errors=True)
        return larger


def rank_within(
    space: VectorSpace, search: Search | None, evidence: EvidenceScore | None, queries: Sequence[Query], k: int
) -> Rankings:
    """The best k items by the vectors of a space and by facts, where there are some. search: None for exact search."""
    if search is not None:
        if evidence is not None:
            return rank_gathered(space, search, evidence, queries, k)
        return search.rank(space, queries, k)
    if evidence is not None:
        return rank_with_facts(space, evidence, queries, k)
    return rank_by_vectors(space.user_vectors([query.history for query in queries]), space.item_vectors, queries, k)


def rank_gathered(
    space: VectorSpace, search: Search, evidence: EvidenceScore, queries: Sequence[Query], k: int
) -> Rankings:
    """The best k items by latent and evidence among those that the index and the facts find.

    Where a query names its candidates, all of them are scored.
    """
    found = search.rank(space, queries, max(k, _SHORTLIST))
    moved, places = _moved(space)
    items = np.full((len(queries), k), PADDING, dtype=np.int32)
    scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
    for row, query in enumerate(queries):
        user = _plain(space.user_vectors([query.history]))[0]
        if query.candidates is None:
            facts = evidence.neighbours(query, _SHORTLIST)
            own = np.union1d(found.items[row][found.items[row] != PADDING], facts)
            if len(moved):
                own = np.union1d(own, _nearest(user, moved, places))
        else:
            own = np.unique(query.candidates)
        own = np.setdiff1d(own, query.exclude).astype(np.int64)
        worth = _products(_plain(vectors_at(space, torch.from_numpy(own))), user) + evidence.on(query, own)
        order = np.lexsort((own, -worth))[:k]
        items[row, : len(order)], scores[row, : len(order)] = own[order], worth[order]
    return Rankings(items, scores)


def _moved(space: VectorSpace) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(H,) items that stand elsewhere than the index has them, rising, and (H, D) where they stand now."""
    if not isinstance(space, MovedSpace):
        return np.empty(0, np.int64), np.empty((0, space.width), np.float32)
    return space.hot, _plain(space.moved())


def _allowed(query: Query, items: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(H,) which of some items a query may get."""
    barred = np.isin(items, query.exclude)
    return ~barred if query.candidates is None else ~barred & np.isin(items, query.candidates)


def _nearest(user: NDArray[np.float32], items: NDArray[np.int64], places: NDArray[np.float32]) -> IntArray:
    """The best of some items by the latent alone, beside all that the search found."""
    return np.asarray(items[np.lexsort((items, -_products(places, user)))[:_SHORTLIST]])


def _products(places: NDArray[np.float32], user: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C,) summed row by row, so that no score depends on which other items were found."""
    summed: NDArray[np.float32] = (places * user).sum(axis=1)
    return summed


def similar_items(space: VectorSpace, joint: Joint | None, search: Search | None, item: int, k: int) -> list[Similar]:
    """The k items most like one, with the parts of the cosine by modality. See `retrieval.similar`."""
    index: ItemIndex = ExactIndex(_plain(space.item_vectors)) if search is None else search.index
    if joint is None:
        vectors = _plain(space.item_vectors)
        makings = Makings(("cf",), [vectors], np.ones((len(vectors), 1), np.float32), np.ones((len(vectors), 1), bool))
        return similar(item, k, index, makings)
    found = joint.parts()
    makings = Makings(
        found.names, [_plain(part) for part in found.parts], _plain(found.weights), found.present.cpu().numpy()
    )
    return similar(item, k, index, makings, list(joint.attributes.values()))


def _spread(n_items: int, settings: RetrievalSettings) -> list[int]:
    """Items of made-up histories on which a new index is measured, evenly over the catalogue."""
    some: list[int] = np.linspace(0, n_items - 1, min(n_items, settings.measured_queries)).astype(int).tolist()
    return some


def _plain(values: torch.Tensor) -> np.ndarray:
    found: np.ndarray = values.detach().cpu().numpy()
    return found
