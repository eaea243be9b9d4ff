"""What re-rankers learn from: slates of the stages before the cut in which the answer stands.

Pair weights and re-rankers share the cut's answers by folds of users: the slates of one half are ranked by weights
that were learned from the other (method, section 5).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from dynmm.assembly.evidencing import learned
from dynmm.assembly.slating import SlateMaker
from dynmm.config import Config
from dynmm.evidence.passing import Passing, blocks
from dynmm.evidence.score import EvidenceScore
from dynmm.evidence.system import EvidenceSystem
from dynmm.evidence.terms import Terms
from dynmm.evidence.weights import Weights
from dynmm.interactions.cases import Cases
from dynmm.interactions.dataset import Dataset
from dynmm.language.questions import Questions, questions_of
from dynmm.language.settings import LanguageSettings, RerankSettings
from dynmm.language.slates import Shelf, Slates
from dynmm.protocols import VectorSpace
from dynmm.randomness import generator
from dynmm.stages import StageCache
from dynmm.system import Rankings
from dynmm.training.reports import EpochReport

#: Queries whose slates are made at once.
ROWS = 256


@dataclass(frozen=True, eq=False)
class BeforeCut:
    """What was fitted to the events before the cut (`known`), and what came next. key: names what it follows from."""

    space: VectorSpace
    terms: Terms
    asked: Cases
    weights: Weights
    key: str
    known: Dataset


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


def questions_before(before: BeforeCut, strength: float, history: int, how: Training) -> tuple[Questions, Shelf]:
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
    depth = min(depth, maker.facts.terms.n_items)
    passing, parts = Passing(maker.evidence.terms, cases), []
    for rows in blocks(cases, range(len(cases)), ROWS):
        now = replace(maker, evidence=replace(maker.evidence, terms=passing.at(rows[0])))
        system = EvidenceSystem(_never, (now.space, now.evidence))
        queries = [cases.query(row) for row in rows]
        targets = np.asarray([int(cases.targets(row)[0]) for row in rows])
        found = system.rank(queries, depth)
        kept = np.flatnonzero((found.items == targets[:, None]).any(axis=1))
        if len(kept):
            own = Rankings(found.items[kept], found.scores[kept])
            slates = now.of([queries[row] for row in kept], own)
            people = cases.users[rows][kept].astype(np.int64)
            parts.append((slates, torch.from_numpy(targets[kept]).long(), torch.from_numpy(people)))
    return parts


def _never(_: object) -> Any:
    raise AssertionError("a fitted system is not fitted again here")
