"""Re-rankers trained on the cut: slates of the stages before it, answers that none of them has seen.

Pair weights and re-rankers share the cut's answers by folds of users: the slates of one half are ranked by weights
that were learned from the other (method, section 5). Validation chooses among what was trained, and never trains.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from dynmm.assembly.evidencing import learned
from dynmm.assembly.rankers import Frozen, Kept, load_ranker, new_ranker, open_frozen, save_ranker, standardise
from dynmm.assembly.reranked import NONE, Reranked, StagesBelow
from dynmm.assembly.slating import SlateMaker
from dynmm.assembly.whole import Whole
from dynmm.config import Config
from dynmm.errors import MissingExtraError, UnsupportedByData
from dynmm.evidence.score import EvidenceScore
from dynmm.evidence.system import EvidenceSystem
from dynmm.evidence.terms import Terms
from dynmm.evidence.weights import Weights
from dynmm.interactions.cases import Cases
from dynmm.language.faithful import Faithful, faithfulness
from dynmm.language.gamma import choose_gamma, ndcg, term
from dynmm.language.learning import Lessons, learn, raw_scores
from dynmm.language.listwise import Listwise
from dynmm.language.questions import Questions, apart, questions_of
from dynmm.language.settings import PRESETS, LanguageSettings, RerankSettings
from dynmm.language.slates import Shelf, Slates
from dynmm.language.system import Reranking
from dynmm.protocols import VectorSpace
from dynmm.randomness import derive_seed, generator
from dynmm.stages import StageCache
from dynmm.storage import write_json
from dynmm.system import Query, Rankings
from dynmm.training.checkpoints import Checkpoints
from dynmm.training.reports import EpochReport

logger = logging.getLogger(__name__)

CODE_VERSION = 1

#: Queries whose slates are made at once.
_ROWS = 256
#: Questions that are scored at once while a re-ranker is trained.
_SCORED = 64


@dataclass(frozen=True, eq=False)
class BeforeCut:
    """What was fitted to the events before the cut, and what came next. key: names what it follows from."""

    space: VectorSpace
    terms: Terms
    asked: Cases
    weights: Weights
    key: str


@dataclass(frozen=True, eq=False)
class Training:
    """How re-rankers are trained. texts: of the catalogue, for the compact language model."""

    config: Config
    seed: int
    device: torch.device
    cache: StageCache
    texts: Sequence[str]
    titles: Sequence[str]
    on_stage: Callable[[str], None] | None = None
    on_epoch: Callable[[EpochReport], None] | None = None
    on_progress: Callable[[float], None] | None = None

    @property
    def settings(self) -> RerankSettings:
        return self.config.reranking

    @property
    def language(self) -> LanguageSettings:
        return self.config.language

    def stage(self, name: str) -> None:
        """Tell that a stage begins."""
        if self.on_stage is not None:
            self.on_stage(name)


def fit_rerankers(before: BeforeCut, whole: Whole, validation: Cases | None, how: Training) -> Reranked | None:
    """Train every kind that is asked for, and choose. None where nothing is to re-rank, or too little to learn from.

    whole: the stages below as they will serve.
    """
    kinds = _kinds(how.config.rerank)
    if not kinds or whole.evidence is None:
        return None
    how.stage("what re-rankers learn from")
    history = PRESETS[how.language.preset][0]
    asked, shelf = _questions(before, whole.evidence.weights.strength, history, how)
    training, held = apart(asked, how.settings.held, how.seed)
    if len(training) < how.settings.least_users or not len(held):
        return None
    fitted: dict[str, Kept] = {}
    facts: dict[str, Any] = {}
    for kind in kinds:
        made = _fitted(kind, training, held, shelf, before.key, how)
        if made is not None:
            fitted[kind], facts[kind] = made
    reranked = Reranked(fitted, NONE, before.space, how.titles, history)
    chosen, measured = _chosen(whole, reranked, validation, how)
    for kind, value in measured.items():
        facts.setdefault(kind, {})["validation_ndcg@10"] = value
    return replace(reranked, chosen=chosen, facts={"chosen": chosen, "learned_from": len(training), "kinds": facts})


def _kinds(choice: str) -> list[str]:
    if choice == "none":
        return []
    return ["mlp", "transformer", "language"] if choice == "auto" else [choice]


def _questions(before: BeforeCut, strength: float, history: int, how: Training) -> tuple[Questions, Shelf]:
    """Slates of the stages before the cut in which the answer stands."""
    count = min(how.settings.users, len(before.asked))
    drawn = np.sort(generator(how.seed, "rerank questions").permutation(len(before.asked))[:count])
    halves = generator(how.seed, "rerank halves").integers(0, 2, len(before.asked))
    parts = []
    shelf: Shelf | None = None
    for half in (0, 1):
        score = EvidenceScore(before.terms, _others_weights(before, np.flatnonzero(halves != half), strength, how))
        maker = SlateMaker(before.space, score, before.space, how.titles, history)
        shelf = shelf or maker.shelf
        parts += _answered(maker, before.asked.take(drawn[halves[drawn] == half]), how.settings.candidates)
    assert shelf is not None
    if not parts:
        empty = maker.of([], Rankings(np.empty((0, 1), np.int32), np.empty((0, 1), np.float32)))
        return questions_of(empty, torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64)), shelf
    slates = Slates.joined([one for one, _, _ in parts])
    targets, people = torch.cat([one for _, one, _ in parts]), torch.cat([one for _, _, one in parts])
    return questions_of(slates, targets, people), shelf


def _others_weights(before: BeforeCut, rows: np.ndarray, strength: float, how: Training) -> Weights:
    """Weights that the other half's answers teach; all answers' where half are too few."""
    settings, key = how.config.evidence, f"{before.key}/{hashlib.sha256(rows.tobytes()).hexdigest()}"
    found = learned(before.terms, before.space, before.asked.take(rows), settings, how.seed, how.cache, key)
    return replace(found or before.weights, strength=strength)


def _answered(maker: SlateMaker, cases: Cases, depth: int) -> list[tuple[Slates, torch.Tensor, torch.Tensor]]:
    """Slates whose answer is among the first ``depth``, with answers and users."""
    system = EvidenceSystem(_never, (maker.space, maker.evidence))
    depth = min(depth, maker.facts.terms.n_items)
    parts = []
    for start in range(0, len(cases), _ROWS):
        rows = range(start, min(start + _ROWS, len(cases)))
        queries = [cases.query(row) for row in rows]
        targets = np.asarray([int(cases.targets(row)[0]) for row in rows])
        found = system.rank(queries, depth)
        kept = np.flatnonzero((found.items == targets[:, None]).any(axis=1))
        if len(kept):
            own = Rankings(found.items[kept], found.scores[kept])
            slates = maker.of([queries[row] for row in kept], own)
            people = cases.users[start : start + _ROWS][kept].astype(np.int64)
            parts.append((slates, torch.from_numpy(targets[kept]).long(), torch.from_numpy(people)))
    return parts


def _never(_: object) -> Any:
    raise AssertionError("a fitted system is not fitted again here")


def _fitted(
    kind: str, training: Questions, held: Questions, shelf: Shelf, key: str, how: Training
) -> tuple[Kept, dict[str, Any]] | None:
    """One re-ranker from the cache, or trained. None for a language model that this machine cannot have."""
    frozen = None
    if kind == "language":
        how.stage("language model")
        try:
            frozen = open_frozen(how.language, how.texts, how.seed, how.device, how.cache, how.on_progress)
        except (MissingExtraError, UnsupportedByData) as error:
            if how.config.rerank != "auto":
                raise
            logger.warning("no language model re-ranks: %s", error)
            return None
    how.stage(f"re-ranker: {kind}")
    shape = (training.slates.users.shape[1], training.slates.facts.shape[2])
    chain = (
        [how.settings, how.language, how.config.evidence] if kind == "language" else [how.settings, how.config.evidence]
    )
    reads = "" if frozen is None else frozen.model.identity
    entry = how.cache.key(
        "rerank",
        data=key,
        settings=chain,
        seed=how.seed,
        fold=f"{kind}/{how.device.type}/{reads}",
        code_version=CODE_VERSION,
    )
    if (found := how.cache.get(entry)) is None:
        ranker = new_ranker(kind, shape, how.settings, how.language, how.seed, frozen).to(how.device)
        standardise(ranker, training.slates, shelf)
        with how.cache.work(entry) as work:
            facts = _trained(kind, ranker, training, held, shelf, Checkpoints(work, entry), how)
            made = Reranking(kind, ranker, facts["gamma"], how.settings.candidates)
            with how.cache.put(entry) as folder:
                save_ranker(Kept(made, shape, how.settings, how.language, frozen), folder)
                write_json(folder / "facts.json", facts)
        found = how.cache.folder(entry)
    facts = json.loads((found / "facts.json").read_bytes())
    if frozen is not None:
        facts["model"] = dict(frozen.facts)
    return load_ranker(found, how.device, lambda *_: _there(frozen)), facts


def _there(frozen: Frozen | None) -> Frozen:
    assert frozen is not None
    return frozen


def _trained(
    kind: str,
    ranker: nn.Module,
    training: Questions,
    held: Questions,
    shelf: Shelf,
    checkpoints: Checkpoints,
    how: Training,
) -> dict[str, Any]:
    """Train in place; returns what the manifest tells."""
    chosen, language = how.settings, how.language
    if kind == "language":
        lessons = Lessons(
            language.epochs,
            language.batch,
            language.learning_rate,
            chosen.weight_decay,
            0.1,
            candidates=language.drawn,
            section="language",
        )
        objective: Any = Faithful(ranker, shelf, weight=language.faithfulness, margin=language.margin)
    else:
        lessons = Lessons(
            chosen.epochs, chosen.batch, chosen.learning_rate, chosen.weight_decay, 1.0, section="reranking"
        )
        objective = Listwise(ranker, shelf)
    outcome = learn(
        ranker,
        objective,
        training,
        held,
        shelf,
        lessons,
        derive_seed(how.seed, "rerank", kind),
        gammas=chosen.gammas,
        checkpoints=checkpoints,
        on_epoch=how.on_epoch,
        on_progress=how.on_progress,
    )
    raw = raw_scores(ranker, held.slates.to(how.device), shelf, _SCORED)
    gamma = choose_gamma(raw, held, chosen.gammas)
    known = faithfulness(ranker, held.to(how.device), shelf, language.margin, _SCORED)
    return {
        "gamma": gamma.value,
        "epochs": outcome.best_epoch,
        "seconds": sum(one.seconds for one in outcome.history),
        "held_ndcg@10": {f"{weight:g}": value for weight, value in zip(gamma.tried, gamma.ndcg, strict=True)},
        "faithfulness": asdict(known),
    }


def _chosen(whole: Whole, reranked: Reranked, validation: Cases | None, how: Training) -> tuple[str, dict[str, float]]:
    """The kind with the best NDCG@10 on validation, none among them, and what each reaches."""
    if validation is None or not len(validation) or not reranked.fitted:
        return (NONE if how.config.rerank == "auto" else next(iter(reranked.fitted), NONE)), {}
    how.stage("which re-ranker serves")
    count = min(how.settings.validated, len(validation))
    drawn = np.sort(generator(how.seed, "rerank validation").permutation(len(validation))[:count])
    cases, below = validation.take(drawn), StagesBelow(whole, reranked)
    sums = dict.fromkeys((NONE, *reranked.fitted), 0.0)
    for start in range(0, len(cases), _ROWS):
        asked = range(start, min(start + _ROWS, len(cases)))
        queries: list[Query] = [cases.query(row) for row in asked]
        targets = torch.tensor([int(cases.targets(row)[0]) for row in asked])
        found = below.rank(queries, how.settings.candidates)
        kept = (found.items == targets.numpy()[:, None]).any(axis=1)
        if not kept.any():
            continue
        rows = np.flatnonzero(kept)
        slates = below.slates([queries[row] for row in rows], Rankings(found.items[rows], found.scores[rows]))
        answers = (slates.items == targets[rows][:, None]).float().argmax(1)
        sums[NONE] += ndcg(slates.scores, answers) * len(rows)
        for kind, one in reranked.fitted.items():
            raw = raw_scores(one.reranking.ranker, slates.to(how.device), below.shelf, _SCORED)
            sums[kind] += ndcg(slates.scores + term(raw, slates, one.reranking.gamma).values, answers) * len(rows)
    reached = {kind: value / count for kind, value in sums.items()}
    if how.config.rerank != "auto":
        return how.config.rerank if reached[how.config.rerank] > reached[NONE] else NONE, reached
    # The first of equals is the simplest.
    return max(reached, key=lambda kind: reached[kind]), reached
