"""What is measured: a run as fitted whose re-ranker is waited for, and what became of the questions to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dynmm.assembly.whole import RUNGS, Whole, whole_of
from dynmm.catalogue.features import Features
from dynmm.errors import UnsupportedByData
from dynmm.interactions.dataset import Dataset
from dynmm.language.serving import Served
from dynmm.language.titles_only import TitlesOnly
from dynmm.recommender import Recommender
from dynmm.system import Query, Rankings, System
from dynmm.types import Events


def as_fitted(recommender: Recommender) -> Whole:
    """What is measured: a split asks about the items of the fit, and added ones would only stand in the way.

    Its re-rankers know no deadline, for results must not hang on the clock, and count their questions from 0.
    """
    return whole_of(recommender).as_fitted().unhurried()


def rungs(recommender: Recommender) -> Mapping[str, System]:
    """See `Whole.rungs`. Over the items of the fit, as all that is measured."""
    return as_fitted(recommender).rungs()


def controls(recommender: Recommender) -> Mapping[str, System]:
    """See `Whole.controls`."""
    return as_fitted(recommender).controls()


def known_features(recommender: Recommender) -> Sequence[Features]:
    """What the run knows of the items of its fit besides interactions; none without a joint stage."""
    return as_fitted(recommender).features


def with_features(recommender: Recommender, features: Sequence[Features]) -> Whole:
    """The system as it would rank if this were known of the items of the fit.

    Features that are no work of their encoder are left out, as they are of new items.

    Raises UnsupportedByData without a joint stage.
    """
    whole = as_fitted(recommender)
    if whole.joint is None:
        raise UnsupportedByData(
            "this run knows items by their interactions alone: there is no modality to drop or to corrupt"
        )
    return whole.with_features(whole.joint.credible(features))


def of_kind(whole: Whole, kind: str) -> System:
    """The stages below with a kind of re-ranker on top, whether or not validation lets it rank.

    For comparisons of kinds: where validation prefers the stages below, the whole is those. Raises UnsupportedByData
    where the kind was not fitted.
    """
    if whole.reranking is not None and whole.reranking.kind == kind:
        return whole
    found = whole.controls().get(f"{RUNGS[3]}-{kind}")
    if found is None:
        raise UnsupportedByData(f"no re-ranker of the kind {kind} was fitted: take rerank={kind}, and enough users")
    return found


class WithoutReranker:
    """The stages below the re-ranker of a whole, fitted already."""

    name = "below"

    def __init__(self, whole: Whole) -> None:
        self._whole = whole

    def fit(self, dataset: Dataset) -> None:
        """It is fitted already."""

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """See `Whole.rank_below`."""
        return self._whole.rank_below(queries, k)

    def learn(self, events: Events) -> None:
        """Learns nothing."""


def titles_only(whole: Whole, dataset: Dataset) -> TitlesOnly:
    """The language model of a whole, which reads titles as text and orders the best of the stages below.

    dataset: has the titles. Raises UnsupportedByData where no language model ranks or words, ModelError where that one
    is gone, is an encoder, or reads too little at once.
    """
    frozen = None if whole.voice is None else whole.voice.frozen
    if whole.reranked is not None and "language" in whole.reranked.fitted:
        frozen = whole.reranked.fitted["language"].frozen
    if frozen is None:
        raise UnsupportedByData(
            f"{TitlesOnly.name} orders titles by the language model of a run, and this one has none: fit it with "
            "rerank=language, or rerank=auto"
        )
    system = TitlesOnly(frozen.model, WithoutReranker(whole))
    system.fit(dataset)
    return system


class Questions:
    """What became of the questions that measured systems put to their re-rankers."""

    def __init__(self) -> None:
        self._served: dict[str, Served] = {}

    def watch(self, name: str, whole: Whole) -> Whole:
        """Follow the re-ranker that ranks in a whole, if one does, under the name of a table. Returns the whole."""
        if whole.reranking is not None:
            self._served[name] = whole.reranking.refiner.served
        return whole

    def watch_controls(self, whole: Whole) -> None:
        """Follow those that were fitted and do not rank, too."""
        for name, reranking in whole.beside().items():
            self._served[name] = reranking.refiner.served

    def as_json(self) -> dict[str, dict[str, int]]:
        """By system: ``asked``, and by reason those that the re-ranker did not answer. See `Served.read`."""
        return {name: served.read() for name, served in self._served.items()}

    def notes(self) -> list[str]:
        """A sentence for each system whose re-ranker left a question open."""
        return [note for name, counts in self.as_json().items() if (note := _note(name, counts))]


def _note(name: str, counts: Mapping[str, int]) -> str:
    lost = {reason: count for reason, count in counts.items() if reason != "asked" and count}
    if not lost:
        return ""
    why = ", ".join(f"{reason} {count:,}" for reason, count in lost.items())
    return (
        f"{name}: {sum(lost.values()):,} of {counts['asked']:,} questions were not re-ranked ({why}); they are "
        "measured in the order of the stages below."
    )
