"""The stages of one fit, put together: `dynmm`, with a system for each rung of the ladder."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

import polars as pl
import torch

from dynmm.adapter.windows import Windows
from dynmm.assembly.asking import Asked
from dynmm.assembly.books import Books
from dynmm.assembly.moving import Moving, moving_for
from dynmm.assembly.reranked import NONE, Reranked, StagesBelow
from dynmm.assembly.searching import Search, rank_within, similar_items
from dynmm.assembly.voicing import Voice
from dynmm.backbone.system import Backbone, BackboneSystem
from dynmm.backbone.warm import WarmBackbone
from dynmm.catalogue.features import Features
from dynmm.errors import ConfigError, DynmmError, UnknownIdError, UnsupportedByData
from dynmm.evaluation.retrained import DAY_MS, Retrained
from dynmm.evidence.attributes import AttributeTable
from dynmm.evidence.items import ItemStatistics
from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.score import EvidenceScore
from dynmm.evidence.system import EvidenceSystem
from dynmm.fusion.joint import Joint
from dynmm.fusion.pretraining import Base
from dynmm.fusion.system import JointSystem
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits import TEST, UNUSED, Split
from dynmm.language.system import Below, Reranking, RerankSystem
from dynmm.protocols import VectorSpace
from dynmm.recommender import Recommender
from dynmm.retrieval.similar import Similar
from dynmm.system import Query, Rankings, System
from dynmm.threads import one_thread
from dynmm.types import Events

#: The whole of what is built, with shipped defaults; and its rungs.
WHOLE = "dynmm"
RUNGS = ("dynmm/backbone", "dynmm/joint", "dynmm/evidence", "dynmm/rerank")

Refit = Callable[[Dataset], "Whole"]


class Whole:
    """Every stage that the data supports. The last of them ranks."""

    name = WHOLE

    def __init__(
        self,
        backbone: Backbone,
        joint: Joint | None,
        refit: Refit,
        search: Search | None = None,
        evidence: EvidenceScore | None = None,
        books: Books | None = None,
    ) -> None:
        """joint: None where nothing but interactions is known of the items. refit: fits the same on other data.

        search: the quantised index over the items of the last stage of vectors, None for exact search. evidence: of
        the fit, None where it adds nothing. books: the events that count; None for a published model.
        """
        self.backbone, self.joint, self.search, self._refit = backbone, joint, search, refit
        self.evidence, self._fitted_evidence = evidence, evidence
        #: Whether `evidence` counts for itself, apart from the fit's.
        self._apart = False
        self.books = books
        #: Fitted re-rankers, None where there was too little to learn from.
        self.reranked: Reranked | None = None
        #: What words reasons, None for plain words.
        self.voice: Voice | None = None
        #: What moves with the events, None where nothing but counts does.
        self.moving: Moving | None = None
        #: The vectors of one request, whatever is learned meanwhile.
        self._held: VectorSpace | None = None

    def equip(self, evidence: EvidenceScore | None) -> None:
        """Give it the evidence of its fit."""
        self.evidence, self._fitted_evidence, self._apart = evidence, evidence, False

    @property
    def learns_online(self) -> bool:
        """Whether `learn` changes a ranking."""
        return self.evidence is not None or self.moving is not None

    @property
    def frozen_space(self) -> VectorSpace:
        """The last stage of vectors, as fitted."""
        return self.backbone if self.joint is None else self.joint

    @property
    def space(self) -> VectorSpace:
        """The vectors that rank: the last stage's, moved by the adapter where there is one. They stay as they are, so
        whoever asks more than once takes them once."""
        if self._held is not None:
            return self._held
        return self.frozen_space if self.moving is None else self.moving.space

    def rungs(self) -> Mapping[str, System]:
        """The ladder: each stage added to those before it, by the names of every table. The last is the whole."""
        rungs: dict[str, System] = {RUNGS[0]: BackboneSystem(backbone=self.backbone)}
        if self.joint is not None:
            rungs[RUNGS[1]] = JointSystem(self._joint_of, self.joint)
        if self.evidence is not None:
            rungs[RUNGS[2]] = EvidenceSystem(self._evidence_of, (self.space, self.evidence))
        if (chosen := self.reranking) is not None:
            rungs[RUNGS[3]] = self._reranks(chosen, RUNGS[3])
        return rungs

    def controls(self) -> Mapping[str, System]:
        """Re-rankers over the same candidates that were fitted but do not rank, by the names of tables."""
        return {name: self._reranks(reranking, name) for name, reranking in self.beside().items()}

    def beside(self) -> Mapping[str, Reranking]:
        """What `controls` ranks with."""
        fitted = {} if self.reranked is None else self.reranked.fitted
        chosen = None if self.reranked is None else self.reranked.chosen
        return {f"{RUNGS[3]}-{kind}": fitted[kind].reranking for kind in fitted if kind != chosen}

    @property
    def reranking(self) -> Reranking | None:
        """The re-ranker that ranks, None where none does."""
        if self.reranked is None or self.evidence is None or self.reranked.chosen == NONE:
            return None
        return self.reranked.fitted[self.reranked.chosen].reranking

    def below(self) -> StagesBelow:
        """What re-rankers stand on. Only where there are some."""
        assert self.reranked is not None
        return StagesBelow(self, self.reranked)

    def _reranks(self, reranking: Reranking, name: str) -> RerankSystem:
        return RerankSystem(self._reranking_of, (self.below(), reranking), name)

    def fit(self, dataset: Dataset) -> None:
        """Fit every stage to this data set, as configured."""
        fresh = self._refit(dataset)
        self.backbone, self.joint, self.search = fresh.backbone, fresh.joint, fresh.search
        self.equip(fresh.evidence)
        self.books, self.reranked, self.voice = fresh.books, fresh.reranked, fresh.voice

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """The best k items by all stages that there are."""
        chosen = self.reranking
        return self.rank_below(queries, k) if chosen is None else self._reranks(chosen, WHOLE).rank(queries, k)

    def rank_below(self, queries: Sequence[Query], k: int) -> Rankings:
        """The best k items by all stages but the re-ranker."""
        return rank_within(self.space, self.search, self.evidence, queries, k)

    def learn(self, events: Events) -> None:
        """Count the events in the evidence, and let the adapter move; fresh histories come with each query."""
        if self.evidence is not None and not self._apart:
            # What is measured and saved is the fit's: it stays as it was.
            self.evidence, self._apart = self.evidence.apart(), True
        if self.moving is None:
            self._count(events)
        else:
            self.moving.learn(events, lambda query: Asked(query, self.search, self.evidence), self._count)

    def _count(self, events: Events) -> None:
        if self.books is not None:
            self.books.append(events)
        if self.evidence is not None:
            self.evidence.learn(events)

    @property
    def windows(self) -> Windows | None:
        """The adapter's, None without one."""
        return None if self.moving is None else self.moving.adapter.windows

    @property
    def versions(self) -> Sequence[int]:
        """Versions of the adapter that can be gone back to, 0 the base among them; none without an adapter."""
        return () if self.moving is None else self.moving.versions

    def check_version(self, version: int) -> None:
        """Raises UnknownIdError where there is no such version of the adapter to go back to."""
        if version not in self.versions:
            known = ", ".join(map(str, self.versions)) or "none"
            raise UnknownIdError(f"the adapter has no version {version} to go back to; it keeps {known}")

    def roll_back(self, version: int) -> None:
        """Serve an earlier version of the adapter. Raises UnknownIdError where there is none."""
        self.check_version(version)
        assert self.moving is not None, "without an adapter there is no version"
        self.moving.roll_back(version)

    @property
    def counts_apart(self) -> bool:
        """Whether events have been counted since the fit."""
        return self._apart

    def learned_events(self) -> Events:
        """All events that were counted since the fit, in their order."""
        assert self.books is not None, "a published model keeps no events"
        return self.books.since()

    def put_back(self, events: Events, counted: tuple[PairStatistics, ItemStatistics] | None) -> None:
        """Go on from statistics that have counted these events since the fit. counted: None where none were kept."""
        if self.books is not None:
            self.books.append(events)
        if counted is not None and self.evidence is not None:
            pairs, items = counted
            terms = replace(self.evidence.terms, pairs=pairs, items=items)
            self.evidence, self._apart = replace(self.evidence, terms=terms), True

    def with_items(self, features: Sequence[Features], items: pl.DataFrame) -> Whole:
        """The same with items behind the others that nobody has touched yet. See `Joint.with_items`.

        items: their rows of the item table.
        """
        assert self.joint is not None, "items are added to a joint stage"
        joint = self.joint.with_items(features)
        new = joint.item_vectors[self.joint.n_items :]
        wider = Whole(self.backbone, joint, self._refit, self.search and self.search.with_items(new), books=self.books)
        wider._fitted_evidence, wider._apart = self._fitted_evidence, self._apart
        wider.evidence = self.evidence and self.evidence.with_items(joint.features, items)
        wider.reranked = self.reranked and self.reranked.with_items(features, items)
        wider.voice = self.voice
        wider.moving = self.moving and self.moving.with_items(wider.frozen_space)
        return wider

    def with_evidence(self, evidence: EvidenceScore) -> Whole:
        """The same with other counts."""
        twin = copy.copy(self)
        twin.evidence = evidence
        return twin

    def with_books(self, books: Books) -> Whole:
        """The same, whose claims are checked against other events."""
        twin = copy.copy(self)
        twin.books = books
        return twin

    def as_fitted(self) -> Whole:
        """The same without the items that were added, and the events that were counted, since the fit."""
        if not self._apart and self.moving is None and (self.joint is None or not self.joint.added):
            return self
        joint, search = self.joint, self.search
        if joint is not None and joint.added:
            joint = Joint(joint.joined, device=joint.device)
            search = None if search is None else Search(search.base)
        books = None if self.books is None else Books(self.books.counted)
        fitted = Whole(self.backbone, joint, self._refit, search, self._fitted_evidence, books)
        fitted.reranked = self.reranked and self.reranked.as_fitted(len(fitted.space.item_vectors))
        fitted.voice = self.voice
        return fitted

    def unhurried(self) -> Whole:
        """The same, whose re-rankers are waited for and count their questions anew."""
        twin = copy.copy(self)
        twin.reranked = self.reranked and self.reranked.unhurried()
        return twin

    def for_one_request(self) -> Whole:
        """The same, by the vectors of now, whose re-ranker is asked each question once: a list and the reasons for it
        must agree."""
        twin = copy.copy(self)
        twin._held = self.space
        twin.reranked = self.reranked and self.reranked.for_one_request()
        return twin

    def afresh(self) -> Whole:
        """The same stages, which remember no user: with memories of their own, empty.

        A question that is still asked of the former ones is remembered there, and gone with them.
        """
        twin = copy.copy(self)
        twin.backbone, twin.joint = self.backbone.afresh(), None if self.joint is None else self.joint.afresh()
        twin.reranked = None if self.reranked is None else self.reranked.afresh()
        return twin

    def clear(self) -> None:
        """Forget what is kept of the users who were asked about last: vectors and prefixes, all in memory alone."""
        self.backbone.recent.clear()
        if self.joint is not None:
            self.joint.recent.clear()
        if self.reranked is not None:
            self.reranked.clear()

    def with_features(self, features: Sequence[Features]) -> Whole:
        """The same items seen otherwise, searched exactly. See `Joint.with_features`."""
        assert self.joint is not None, "modalities belong to a joint stage"
        evidence = self.evidence and self.evidence.seen(features)
        joint = self.joint.with_features(features)
        seen = Whole(self.backbone, joint, self._refit, evidence=evidence, books=self.books)
        seen.reranked = self.reranked and self.reranked.with_features(features)
        return seen

    def attributes(self, items: pl.DataFrame) -> AttributeTable:
        """What the items share. items: their table, where evidence has not read it already."""
        return AttributeTable.of(items) if self.evidence is None else self.evidence.terms.attributes

    def similar(self, item: int, k: int) -> list[Similar]:
        """The k items most like a dense one, best first, with the reason by modality."""
        return similar_items(self.space, self.joint, self.search, item, k)

    @property
    def features(self) -> Sequence[Features]:
        """What the joint stage knows of the items besides interactions; none without one."""
        return self.joint.features if self.joint is not None else ()

    def _evidence_of(self, dataset: Dataset) -> tuple[VectorSpace, EvidenceScore]:
        fresh = self._refit(dataset)
        if fresh.evidence is None:
            raise UnsupportedByData("there are too few events to learn the worth of facts from")
        return fresh.space, fresh.evidence

    def _reranking_of(self, dataset: Dataset) -> tuple[Below, Reranking]:
        fresh = self._refit(dataset)
        if fresh.reranking is None:
            raise UnsupportedByData("there are too few events to learn a re-ranker from")
        return fresh.below(), fresh.reranking

    def _joint_of(self, dataset: Dataset) -> Joint:
        joint = self._refit(dataset).joint
        if joint is None:
            raise UnsupportedByData("nothing but interactions is known of these items: there is no joint stage to fit")
        return joint


def base_of(backbone: Backbone) -> Base:
    """The frozen backbone as the joint stage sees it."""
    return Base(backbone.tower(), backbone.input_vectors, backbone.recipe(), backbone.parameter_hash())


class Stopped:
    """In the place of what answers, where that may know somebody who was deleted: each question is refused."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __getattr__(self, name: str) -> NoReturn:
        raise DynmmError(self.reason)


def whole_of(recommender: Recommender) -> Whole:
    """The stages of a recommender that was assembled here. Raises DynmmError where it was stopped."""
    system = recommender.system
    if isinstance(system, Stopped):
        raise DynmmError(system.reason)
    assert isinstance(system, Whole), "a recommender is assembled here"
    return system


def set_moving(recommender: Recommender) -> None:
    """Give a recommender that has learned nothing yet an adapter, as configured."""
    whole = whole_of(recommender)
    with one_thread():
        whole.moving = moving_for(recommender, whole.frozen_space)


def served(recommender: Recommender) -> dict[str, int]:
    """What became of questions to the re-ranker, see `Recommender.reranked`."""
    chosen = whole_of(recommender).reranking
    return {} if chosen is None else chosen.refiner.served.read()


def retrained_backbone(recommender: Recommender, split: Split, name: str, every_days: float) -> System:
    """The run's own backbone, trained further on all events so far every few days of a stream, at most 60 times."""
    whole = whole_of(recommender)
    assert split.stream is not None, "refits follow a stream"
    assert split.stream.timestamps is not None, "streams have timestamps"
    days = float(split.stream.timestamps[-1] - split.stream.timestamps[0]) / DAY_MS
    seed = int(recommender.facts["seeds"][0])
    retrained = Retrained(lambda: WarmBackbone(whole.backbone, seed, name), every_days, stream_days=days, name=name)
    retrained.fit(known_events(split))
    return retrained


def known_events(split: Split) -> Dataset:
    """What a recommender fitted under this split may know of its users: all but the test part."""
    return split.source.keep((split.parts != TEST) & (split.parts != UNUSED), validation=None)


def pick_device(wanted: str) -> torch.device:
    """The device by that name. auto: CUDA where there is one, else the CPU. Raises ConfigError."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(wanted, False):
        raise ConfigError(f"device {wanted!r} is not to be had on this machine; use --device auto")
    return torch.device(wanted)
