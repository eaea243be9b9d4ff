"""From a data set and a configuration to a fitted recommender, stage by stage."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from dynmm.assembly.books import Books
from dynmm.assembly.contentreport import content_report
from dynmm.assembly.evidencing import (
    cut_key,
    facts_of,
    learned,
    neighbour_terms_of,
    newcomers_of,
    read_terms,
    strengthened,
    terms_of,
)
from dynmm.assembly.languagecheck import check_language, located
from dynmm.assembly.measured import Questions
from dynmm.assembly.questioning import BeforeCut, Training
from dynmm.assembly.rankers import open_frozen
from dynmm.assembly.reranked import Reranked, titles_of
from dynmm.assembly.reranking import fit_rerankers
from dynmm.assembly.searching import Search, check_index, index_of
from dynmm.assembly.voicing import Voice
from dynmm.assembly.whole import WHOLE, Whole, base_of, known_events, pick_device, set_moving
from dynmm.assembly.whyrerank import check_rerank, rerank_facts
from dynmm.backbone.settings import DataShape, resolve
from dynmm.backbone.system import Backbone, fit_backbone
from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.familiarity import credible
from dynmm.catalogue.features import Features
from dynmm.config import Config, DataSettings
from dynmm.encoders.encoding import Progress
from dynmm.encoders.running import encode_catalogue
from dynmm.errors import ConfigError, DataError
from dynmm.evaluation import protocols
from dynmm.evidence.score import EvidenceScore
from dynmm.evidence.terms import Terms
from dynmm.evidence.weights import Weights, alike_weights
from dynmm.fusion.content import usable
from dynmm.fusion.diagnostics import diagnose
from dynmm.fusion.joint import Joint
from dynmm.fusion.system import fit_joint
from dynmm.interactions.cases import Cases
from dynmm.interactions.contenthash import data_sha256
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.itemtable import unspoken_columns
from dynmm.interactions.splits import Split, make_split
from dynmm.interactions.splits.cut import cut_last, cut_time
from dynmm.language.corpus import catalogue_corpus
from dynmm.protocols import VectorSpace
from dynmm.recommender import Recommender
from dynmm.stages import StageCache
from dynmm.training.reports import EpochReport


@dataclass(frozen=True)
class FitOptions:
    """What changes how a fit runs but not what it yields.

    device: auto, cpu, cuda or mps. cache: folder of the stage cache, None for the user's. on_epoch: called
    after every epoch. on_progress: called with the share of the running epoch that is done. on_stage: called
    with the name of each stage when it begins. on_encoding: called with modality, contents done and contents in all.
    """

    device: str = "auto"
    cache: Path | None = None
    on_epoch: Callable[[EpochReport], None] | None = None
    on_progress: Callable[[float], None] | None = None
    on_stage: Callable[[str], None] | None = None
    on_encoding: Progress | None = None

    def stage(self, name: str) -> None:
        """Tell that a stage begins."""
        if self.on_stage is not None:
            self.on_stage(name)


@dataclass(frozen=True)
class Fitted:
    """A fit: the recommender, what was held out, and how training went.

    curves: epochs by stage, of the fit that validation selects from. refits: of the one after it on all that
    may train, empty where the selected fit is the final one.
    """

    recommender: Recommender
    split: Split
    curves: Mapping[str, tuple[EpochReport, ...]]
    refits: Mapping[str, tuple[EpochReport, ...]]

    @property
    def curve(self) -> tuple[EpochReport, ...]:
        """Epochs of the backbone."""
        return self.curves["backbone"]


def fit(
    data: Dataset | str | Path,
    config: Config | Mapping[str, Any] | None,
    *,
    split: str | None = None,
    seed: int = 0,
    options: FitOptions | None = None,
) -> Fitted:
    """Split the data, fit every stage, measure on validation. See `Recommender.fit`."""
    chosen, options = located(_named(Config.of(config), split)), options or FitOptions()
    check_rerank(chosen)
    parts = make_split(_dataset(data, chosen), chosen.split, seed)
    # Index and language model come last: what they lack is said before anything is encoded and trained for them.
    check_index(parts.train.n_items, chosen.retrieval)
    check_language(chosen)
    catalogue = Catalogue.of(parts.source)
    features = _features(catalogue, chosen, options)
    stages = _Stages(chosen, features, seed, options)
    selected = stages.fit(parts.train)
    final = selected if parts.refit_train is None else stages.refit(parts.refit_train, selected)
    used = chosen.model_copy(update={"backbone": selected.backbone.pretrained.settings})
    if selected.joint is not None:
        used = used.model_copy(update={"fusion": selected.joint.joined.settings})
    facts = _facts(parts, used, seed, selected, final)
    facts["content"] = content_report(features, catalogue, chosen, parts.source)
    curves = _curves(selected)
    refits = _curves(final) if final is not selected else {}
    recommender = Recommender(final, known_events(parts), facts, parts)
    set_moving(recommender)
    return Fitted(recommender, parts, curves, refits)


@dataclass(frozen=True, eq=False)
class _Before:
    """What was fitted before the cut, and what came next."""

    space: VectorSpace
    terms: Terms
    asked: Cases
    key: str
    known: Dataset


class _Stages:
    """Fits one stage after the other on a data set, each through the cache."""

    def __init__(self, config: Config, features: Sequence[Features], seed: int, options: FitOptions) -> None:
        self._config, self._features, self._seed, self._options = config, features, seed, options
        self._device = pick_device(options.device)
        self._cache = StageCache(options.cache)
        how: dict[str, Any] = {"cache": self._cache, "on_epoch": options.on_epoch, "on_progress": options.on_progress}
        self._fit_backbone: Callable[..., Backbone] = partial(fit_backbone, device=self._device, **how)
        self._fit_joint: Callable[..., Joint] = partial(fit_joint, **how)

    def fit(self, train: Dataset) -> Whole:
        """Every stage, selected on the data set's validation."""
        self._options.stage("backbone")
        settings = resolve(self._config.backbone, DataShape.of(train))
        backbone = self._fit_backbone(train, settings, self._seed)
        joint = self._joint(train, backbone, None, "")
        before = self._before_cut(train, backbone, joint)
        weights = self._weights(train, joint, before)
        whole = self._whole(train, backbone, joint, weights, train.validation)
        if before is not None and weights is not None:
            whole.reranked = self._reranked(train, before, weights, whole)
        whole.voice = self._voice(train, whole.reranked)
        return whole

    def refit(self, train: Dataset, selected: Whole) -> Whole:
        """Every stage again on more events, for as many epochs as were selected; what facts are worth stays."""
        self._options.stage("backbone again, on all events")
        fitted = selected.backbone.pretrained
        backbone = self._fit_backbone(train, fitted.settings, self._seed, epochs=fitted.best_epoch, fold="refit")
        epochs = None if selected.joint is None else selected.joint.joined.best_epoch
        joint = self._joint(train, backbone, epochs, "refit")
        whole = self._whole(train, backbone, joint, None, None)
        if selected.evidence is not None:
            weights = selected.evidence.weights
            whole.equip(EvidenceScore(read_terms(train, joint, self._config.evidence), weights))
        whole.reranked, whole.voice = selected.reranked, selected.voice
        return whole

    def _voice(self, train: Dataset, reranked: Reranked | None) -> Voice | None:
        language, options = self._config.language, self._options
        if not language.writes:
            return None
        frozen = None if reranked is None else reranked.frozen
        if frozen is None:
            options.stage("language model")
            texts = catalogue_corpus(train.item_table)
            frozen = open_frozen(language, texts, self._seed, self._device, self._cache, options.on_progress)
        voice = Voice(frozen, language, self._seed)
        voice.writer  # noqa: B018  # an encoder cannot write: said now rather than at the first reason
        return voice

    def _before_cut(self, train: Dataset, backbone: Backbone, joint: Joint | None) -> _Before | None:
        """The stages of vectors fitted again without each user's last event; None with too few to learn from."""
        settings = self._config.evidence
        if settings.variant != "scored":
            return None
        if self._config.split.name == "stream":
            window = self._config.split.stream_window
            cut = cut_time(train, settings.cut_share, settings.users, window=window)
        else:
            cut = cut_last(train)
        if len(cut.asked) < settings.least_users:
            return None
        self._options.stage("backbone before the cut")
        fitted = backbone.pretrained
        below = self._fit_backbone(cut.before, fitted.settings, self._seed, epochs=fitted.best_epoch, fold="cut")
        space: VectorSpace = below
        over = None
        if joint is not None:
            over = self._joint(cut.before, below, joint.joined.best_epoch, "cut")
            assert over is not None, "the same items, so the same features"
            space = over
        terms = terms_of(cut.before, over, settings)
        return _Before(space, terms, cut.asked, cut_key(cut.before, space, cut.asked), cut.before)

    def _weights(self, train: Dataset, joint: Joint | None, before: _Before | None) -> Weights | None:
        """What facts are worth, learned on events that neither the latent nor the counts have seen."""
        settings = self._config.evidence
        if settings.variant == "paper":
            return alike_weights(neighbour_terms_of(train, joint, settings))
        if before is None:
            return None
        self._options.stage("what facts are worth")
        found = learned(before.terms, before.space, before.asked, settings, self._seed, self._cache, before.key)
        window = self._config.split.stream_window
        return found and replace(found, newcomers=newcomers_of(train, settings, self._seed, window=window))

    def _reranked(self, train: Dataset, before: _Before, weights: Weights, whole: Whole) -> Reranked | None:
        known = BeforeCut(before.space, before.terms, before.asked, weights, before.key, before.known)
        table, options = train.item_table, self._options
        how = Training(
            self._config,
            self._seed,
            self._device,
            self._cache,
            catalogue_corpus(table),
            titles_of(table),
            on_stage=options.on_stage,
            on_epoch=options.on_epoch,
            on_progress=options.on_progress,
        )
        return fit_rerankers(known, whole, train, how)

    def _joint(self, train: Dataset, backbone: Backbone, epochs: int | None, fold: str) -> Joint | None:
        fusion = self._config.fusion
        features = usable(self._features, train.n_items, fusion.modalities)
        if fusion.variant == "off" or not features:
            return None
        self._options.stage({"": "joint", "cut": "joint before the cut"}.get(fold, "joint again, on all events"))
        return self._fit_joint(train, base_of(backbone), features, fusion, self._seed, epochs=epochs, fold=fold)

    def _whole(
        self, train: Dataset, backbone: Backbone, joint: Joint | None, weights: Weights | None, validation: Cases | None
    ) -> Whole:
        space = backbone if joint is None else joint
        folder = index_of(space, self._config.retrieval, self._seed, self._cache)
        search = None if folder is None else Search(folder)
        evidence, settings = None, self._config.evidence
        if weights is not None:
            terms = read_terms(train, joint, settings)
            evidence = strengthened(terms, space, weights, validation, settings, self._seed)
        refit = partial(again, self._config, self._seed, self._options)
        return Whole(backbone, joint, refit, search, evidence, Books(replace(train, validation=None)))


def again(config: Config, seed: int, options: FitOptions, dataset: Dataset) -> Whole:
    return _Stages(config, _features(Catalogue.of(dataset), config, options), seed, options).fit(dataset)


def _features(catalogue: Catalogue, config: Config, options: FitOptions) -> list[Features]:
    """What encoders make of every item; nothing where no joint stage would read it."""
    if config.fusion.variant == "off":
        return []

    options.stage("encoding")
    settings = config.encoders
    off = {one: "off" for one in ("text", "image", "audio") if one not in config.fusion.modalities}
    encoded = encode_catalogue(
        catalogue,
        settings.model_copy(update=off),
        device=str(pick_device(options.device)),
        cache=options.cache,
        on_progress=options.on_encoding,
    )
    return [credible(one, catalogue.ids) for one in encoded]


def _named(config: Config, split: str | None) -> Config:
    """The configuration under the split that the caller names, which goes before `split.name`."""
    if split is None:
        return config
    return Config.of({**config.model_dump(), "split": {**config.split.model_dump(), "name": split}})


def _dataset(data: Dataset | str | Path, config: Config) -> Dataset:
    if isinstance(data, Dataset):
        if config.data != DataSettings():
            raise ConfigError(
                "data.* filters rows while a folder is read, and this is a data set in memory; "
                "filter it with Dataset.from_frames or pass the folder"
            )
        return data
    if not isinstance(data, str | Path):
        raise DataError(f"a {type(data).__name__} is not a data set; make one with Dataset.from_frames")
    chosen = config.data
    return Dataset.load(data, min_rating=chosen.min_rating, kinds=chosen.kinds, skip_bad=chosen.skip_bad)


def _curves(whole: Whole) -> dict[str, tuple[EpochReport, ...]]:
    curves = {"backbone": whole.backbone.pretrained.history}
    return curves if whole.joint is None else curves | {"joint": whole.joint.joined.history}


def _facts(parts: Split, used: Config, seed: int, selected: Whole, final: Whole) -> dict[str, Any]:
    curves = {
        stage: [[one.epoch, one.loss, one.validation, one.seconds] for one in curve]
        for stage, curve in _curves(selected).items()
    }
    # Of the selected fit: a refit has trained on the very answers.
    validation, lost = _validate(selected, parts)
    return {
        "data": {"name": parts.source.info.name, "sha256": data_sha256(parts.source), "counts": parts.counts},
        "split": {"name": parts.name, "variant": parts.variant, "description": parts.description},
        "notes": [*parts.notes, *_order_note(parts.source), *unspoken_columns(parts.source.item_table), *lost],
        "left_out": dict(parts.source.left_out),
        "joint": None if final.joint is None else diagnose(final.joint),
        "evidence": facts_of(final.evidence),
        "rerank": rerank_facts(used, final),
        "index": {"kind": "exact"} if final.search is None else final.search.index.facts,
        "config": used.model_dump(mode="json"),
        "seeds": [seed],
        "curve": curves.pop("backbone"),
        "curves": curves,
        "validation": validation,
        "refitted": final is not selected,
        "packages": _packages(),
        "dynmm": importlib.metadata.version("dynmm"),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _order_note(source: Dataset) -> list[str]:
    if source.has_order:
        return []
    return ["the order of a user's events is not known: they train in the order of the rows, which may mean nothing"]


def _validate(whole: Whole, split: Split) -> tuple[dict[str, Any], list[str]]:
    """What selection saw, with intervals, and notes. It chose the epoch, so it flatters: the test part is what counts.

    The re-ranker is waited for: what a manifest tells must not hang on the clock.
    """
    if not len(split.validation):
        return {}, []
    exam, questions = protocols.full(split.train, split.validation), Questions()
    system = questions.watch(WHOLE, whole.unhurried())
    measured = dict(protocols.run(exam, {WHOLE: [system]}).to_json()["systems"][WHOLE])
    return measured, questions.notes()


def _packages() -> dict[str, str]:
    names = ("numpy", "polars", "torch", "safetensors", "pydantic")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}
