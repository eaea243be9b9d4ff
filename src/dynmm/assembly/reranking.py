"""Re-rankers trained on the cut, each through the cache, and one of them chosen on validation, which never trains."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from torch import nn

from dynmm.assembly.choosing import SCORED, choose
from dynmm.assembly.evidencing import inputs_key
from dynmm.assembly.languagecheck import NOT_TAUGHT
from dynmm.assembly.questioning import BeforeCut, Training, questions_before
from dynmm.assembly.rankers import (
    Frozen,
    Kept,
    load_ranker,
    new_ranker,
    open_frozen,
    save_ranker,
    standardise,
    weights_sha256,
)
from dynmm.assembly.reranked import NONE, Reranked
from dynmm.assembly.whole import Whole
from dynmm.assembly.wordingtargets import wanted_texts, words_key
from dynmm.errors import ConfigError, DynmmError, MissingExtraError, ModelError, UnsupportedByData
from dynmm.evidence.reading import FactReader
from dynmm.interactions.dataset import Dataset
from dynmm.language.faithful import Faithful, faithfulness, pooled
from dynmm.language.folds import Folds, Judged, asked_of
from dynmm.language.frozen import FrozenTransformer
from dynmm.language.gamma import Gain, choose_gamma
from dynmm.language.learning import Lessons, judged_scores, learn
from dynmm.language.listwise import Listwise, tempered
from dynmm.language.mlp import Perceptron
from dynmm.language.questions import Questions, apart, some_of
from dynmm.language.ranker import LanguageRanker
from dynmm.language.settings import PRESETS, LanguageSettings, RerankSettings
from dynmm.language.slates import Shelf
from dynmm.language.system import Reranking
from dynmm.language.table import entry_of
from dynmm.language.targets import Worded, Wordings, room
from dynmm.randomness import derive_seed
from dynmm.storage import write_json
from dynmm.training.checkpoints import Checkpoints

logger = logging.getLogger(__name__)

#: Of what re-rankers learn from; of how they are trained; of how one of them is chosen.
CODE_VERSION, _TRAINING_VERSION, _CHOICE_VERSION = 3, 9, 5


@dataclass(frozen=True, eq=False)
class _Asked:
    """Questions of the cut, made when the first re-ranker is that the cache does not hold."""

    before: BeforeCut
    train: Dataset
    strength: float
    history: int
    how: Training

    @property
    def key(self) -> str:
        """Names what they follow from."""
        return f"{self.before.key}/{self.strength:g}/{self.history}"

    @cached_property
    def all(self) -> tuple[Questions, Shelf]:
        """Every question, and the shelf."""
        self.how.stage("what re-rankers learn from")
        return questions_before(self.before, self.strength, self.history, self.how)

    @cached_property
    def parts(self) -> tuple[Questions, Questions]:
        """What trains, and what other people's questions choose with."""
        return apart(self.all[0], self.how.settings.held, self.how.seed)

    @cached_property
    def learned_from(self) -> int:
        """Questions that train; 0 where they are too few."""
        how = self.how
        chain = [how.settings.taught(), how.config.evidence]
        key = how.cache.key("answers", data=self.key, settings=chain, seed=how.seed, code_version=CODE_VERSION)
        if (found := how.cache.get(key)) is None:
            training, held = self.parts
            enough = len(training) >= how.settings.least_users and len(held) > 0
            with how.cache.put(key) as folder:
                write_json(folder / "answers.json", {"learned_from": len(training) if enough else 0})
            found = how.cache.folder(key)
        return int(json.loads((found / "answers.json").read_bytes())["learned_from"])

    @property
    def longest(self) -> int:
        """C of a whole list."""
        return min(self.how.settings.candidates, self.before.terms.n_items)

    @property
    def shape(self) -> tuple[int, int]:
        """(D, F) of the slates."""
        return self.before.space.width, len(FactReader(self.before.terms).names)


def fit_rerankers(before: BeforeCut, whole: Whole, train: Dataset, how: Training) -> Reranked | None:
    """Train every kind that is asked for, and choose. None where nothing is to re-rank, or too little to learn from.

    whole: the stages below as they will serve, fitted to `train`, whose validation chooses.
    """
    kinds = _kinds(how.config.rerank)
    if not kinds or whole.evidence is None:
        return None
    asked = _Asked(before, train, whole.evidence.weights.strength, PRESETS[how.language.preset][0], how)
    if not asked.learned_from:
        return None
    fitted: dict[str, Kept] = {}
    facts: dict[str, Any] = {}
    for kind in kinds:
        made = _fitted(kind, asked, how)
        if made is not None:
            fitted[kind], facts[kind] = made
    reranked = Reranked(fitted, NONE, before.space, how.titles, asked.history)
    held = {kind: Gain(told["held_gain"], told["held_error"]) for kind, told in facts.items()}
    chosen, measured = _chosen(whole, reranked, held, train, how)
    for kind, told in measured.items():
        facts[kind] = facts.get(kind, {}) | told
    return replace(
        reranked, chosen=chosen, facts={"chosen": chosen, "learned_from": asked.learned_from, "kinds": facts}
    )


def _kinds(choice: str) -> list[str]:
    if choice == "none":
        return []
    return ["mlp", "transformer", "language"] if choice == "auto" else [choice]


def _chosen(
    whole: Whole, reranked: Reranked, held: Mapping[str, Gain], train: Dataset, how: Training
) -> tuple[str, dict[str, dict[str, float]]]:
    """See `choose`; through the cache, for it reads every fact of thousands of slates."""
    assert whole.evidence is not None
    digest = hashlib.sha256(whole.evidence.weights.effective.tobytes())
    for kind, kept in reranked.fitted.items():
        digest.update(f"{kind} {kept.reranking.gamma} {held[kind]} {weights_sha256(kept)}".encode())
    fold = f"{how.config.rerank}/{digest.hexdigest()}"
    chain = [how.settings, how.config.evidence]
    key = how.cache.key(
        "choice",
        data=inputs_key(train, whole.space),
        settings=chain,
        seed=how.seed,
        fold=fold,
        code_version=_CHOICE_VERSION,
    )
    if (found := how.cache.get(key)) is None:
        chosen, measured = choose(whole, reranked, held, train.validation, how)
        with how.cache.put(key) as folder:
            write_json(folder / "choice.json", {"chosen": chosen, "measured": measured})
        return chosen, measured
    card = json.loads((found / "choice.json").read_bytes())
    return card["chosen"], card["measured"]


def _fitted(kind: str, asked: _Asked, how: Training) -> tuple[Kept, dict[str, Any]] | None:
    """One re-ranker from the cache, or trained. None for a language model that this machine cannot have."""
    frozen = None
    if kind == "language":
        how.stage("language model")
        try:
            frozen = open_frozen(how.language, how.texts, how.seed, how.device, how.cache, how.on_progress)
        except (MissingExtraError, UnsupportedByData) as error:
            _without_language(error, how)
            return None
    how.stage(f"re-ranker: {kind}")
    chain = [how.settings.taught(), how.config.evidence, *([how.language.taught()] if kind == "language" else [])]
    # The controls are not trained with the margin, but measured with it.
    reads = f"margin={how.language.margin:g}"
    if frozen is not None:
        reads = f"{frozen.model.identity}/{json.dumps(dict(frozen.files), sort_keys=True)}"
    if frozen is not None and how.language.wording:
        if not frozen.model.caches:
            raise ConfigError(NOT_TAUGHT)
        reads += words_key(asked.train, how.config)
    entry = how.cache.key(
        "rerank",
        data=asked.key,
        settings=chain,
        seed=how.seed,
        fold=f"{kind}/{how.device.type}/{reads}",
        code_version=_TRAINING_VERSION + entry_of(kind).revision,
    )
    if (found := how.cache.get(entry)) is None:
        ranker = new_ranker(kind, asked.shape, how.settings, how.language, how.seed, frozen).to(how.device)
        if isinstance(ranker, LanguageRanker):
            # A prompt that does not fit is told now: reading what it is to learn from takes long.
            try:
                ranker.fitted(asked.longest)
            except ModelError as error:
                _without_language(error, how)
                return None
        with how.cache.work(entry) as work:
            facts = _trained(kind, ranker, Checkpoints(work, entry), asked)
            made = Reranking(kind, ranker, facts["gamma"], how.settings.candidates)
            with how.cache.put(entry) as folder:
                save_ranker(Kept(made, asked.shape, how.settings, how.language, frozen, how.seed), folder)
                write_json(folder / "facts.json", facts)
        found = how.cache.folder(entry)
    facts = json.loads((found / "facts.json").read_bytes())
    if frozen is not None:
        facts["model"] = dict(frozen.facts)
    # What was trained under another deadline or for a server elsewhere is the same: it serves as configured now.
    kept = load_ranker(found, how.device, lambda *_: _there(frozen), how.language)
    serving = kept.reranking.ranker
    if isinstance(serving, LanguageRanker) and (note := serving.fitted(asked.longest).note):
        facts["prompt"] = note  # what of the layout is left out, and said each time, also by a fit from the cache
    return kept, facts


def _without_language(error: DynmmError, how: Training) -> None:
    """Say why no language model re-ranks. Raises the error where one was asked for by name."""
    if how.config.rerank != "auto":
        raise error
    logger.warning("no language model re-ranks: %s", error)


def _worded(objective: Any, ranker: nn.Module, training: Questions, shelf: Shelf, asked: _Asked) -> tuple[Any, int]:
    """The objective with L_nlp, and how many questions have words."""
    assert isinstance(ranker, LanguageRanker), "words are made by a language model"
    asked.how.stage("words that verify")
    texts = wanted_texts(training, asked.before, asked.train, asked.how.config)
    most = room(ranker.model.context)
    wordings = Wordings(ranker.model.words, texts, most=most)  # type: ignore[attr-defined]  # causal models have it
    worded = int(wordings.told(training.people, training.targets).sum())
    return Worded(objective, ranker, shelf, wordings, weight=asked.how.language.wording), worded


def _there(frozen: Frozen | None) -> Frozen:
    assert frozen is not None
    return frozen


def _lessons(kind: str, chosen: RerankSettings, language: LanguageSettings) -> Lessons:
    if kind != "language":
        return Lessons(chosen.epochs, chosen.batch, chosen.learning_rate, chosen.weight_decay, 1.0)
    return Lessons(
        language.epochs,
        language.batch,
        language.learning_rate,
        chosen.weight_decay,
        0.1,
        candidates=language.drawn,
        section="language",
        lighter="set language.recompute=true, lower language.drawn, or take a shorter language.preset or a smaller "
        "language.model",
    )


def _lots(ranker: nn.Module, asked: _Asked) -> tuple[Questions, list[Judged], Folds | None]:
    """What trains, what nothing has learned from, and whose questions the members of a perceptron leave out."""
    if isinstance(ranker, Perceptron):
        training = tempered(asked.all[0])
        folds = Folds.of(training, asked.how.settings.held, asked.how.seed)
        return training, folds.judged(ranker, training), folds
    training, held = asked.parts
    training = tempered(training)
    return training, [Judged(ranker, replace(held, factor=training.factor))], None


def _trained(kind: str, ranker: nn.Module, checkpoints: Checkpoints, asked: _Asked) -> dict[str, Any]:
    """Train in place; returns what the manifest tells."""
    told: dict[str, Any] = {}
    how, shelf = asked.how, asked.all[1]
    chosen, language = how.settings, how.language
    training, judged, folds = _lots(ranker, asked)
    standardise(ranker, training.slates, shelf)
    gammas = [gamma / training.factor for gamma in chosen.gammas]
    lessons = _lessons(kind, chosen, language)
    if kind == "language":
        training = some_of(training, language.questions, derive_seed(how.seed, "language questions"))
        objective: Any = Faithful(ranker, shelf, weight=language.faithfulness, margin=language.margin)
        if language.wording:
            objective, told["worded"] = _worded(objective, ranker, training, shelf, asked)
    else:
        objective = Listwise(ranker, shelf, folds)
    how.stage(f"re-ranker: {kind}")  # again: what it learns from, or its words, may have been made in between
    outcome = learn(
        ranker,
        objective,
        training,
        judged,
        shelf,
        lessons,
        derive_seed(how.seed, "rerank", kind),
        gammas=gammas,
        checkpoints=checkpoints,
        on_epoch=how.on_epoch,
        on_progress=how.on_progress,
    )
    if isinstance(ranker, LanguageRanker) and isinstance(ranker.model, FrozenTransformer):
        ranker.model.check()  # what is said to be frozen has the hash that it had before it was trained around
    gamma = choose_gamma(judged_scores(judged, shelf, SCORED), asked_of(judged), gammas)
    known = pooled(
        [faithfulness(one.model, one.questions.to(how.device), shelf, language.margin, SCORED) for one in judged]
    )
    return told | {
        "learned_from": len(training),
        "factor": training.factor,
        "gamma": gamma.value,
        "epochs": outcome.best_epoch,
        "seconds": sum(one.seconds for one in outcome.history),
        "held_ndcg@10": {f"{weight:g}": value for weight, value in zip(gamma.tried, gamma.ndcg, strict=True)},
        "held_gain": gamma.gain.mean,
        "held_error": gamma.gain.error,
        "faithfulness": asdict(known),
    }
