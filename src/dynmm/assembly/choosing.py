"""Which re-ranker serves: the one that does best on validation, the stages below as they are among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from dynmm.assembly.questioning import ROWS, Training
from dynmm.assembly.reranked import NONE, Reranked, StagesBelow
from dynmm.assembly.whole import Whole
from dynmm.evidence.passing import Passing, blocks
from dynmm.interactions.cases import Cases
from dynmm.language.gamma import gained, likely, term
from dynmm.language.learning import raw_scores
from dynmm.randomness import generator
from dynmm.system import Query, Rankings

#: Questions that are scored at once.
SCORED = 64


def choose(whole: Whole, reranked: Reranked, validation: Cases | None, how: Training) -> tuple[str, dict[str, float]]:
    """The kind with the best NDCG@10 on validation, and what each reaches; none where no gain is likely."""
    if validation is None or not len(validation) or not reranked.fitted:
        return (NONE if how.config.rerank == "auto" else next(iter(reranked.fitted), NONE)), {}
    how.stage("which re-ranker serves")
    gains = _gains(whole, reranked, validation, how)
    reached = {kind: float(one.mean()) for kind, one in gains.items()}
    sure = [kind for kind in reranked.fitted if likely(gains[kind] - gains[NONE])]
    return max(sure, key=lambda kind: reached[kind], default=NONE), reached


def _gains(whole: Whole, reranked: Reranked, validation: Cases, how: Training) -> dict[str, np.ndarray]:
    """(Q,) NDCG@10 of each question by kind, that of the stages below among them."""
    count = min(how.settings.validated, len(validation))
    drawn = np.sort(generator(how.seed, "rerank validation").permutation(len(validation))[:count])
    cases = validation.take(drawn)
    below = StagesBelow(whole, reranked)
    gains = {kind: np.zeros(count) for kind in (NONE, *reranked.fitted)}
    passing = None if whole.evidence is None else Passing(whole.evidence.terms, cases)
    for block in blocks(cases, range(count), ROWS):
        asked = np.asarray(block)
        if passing is not None and whole.evidence is not None and cases.along is not None:
            below = StagesBelow(whole.with_evidence(replace(whole.evidence, terms=passing.at(block[0]))), reranked)
        queries: list[Query] = [cases.query(int(row)) for row in asked]
        targets = torch.tensor([int(cases.targets(int(row))[0]) for row in asked])
        found = below.rank(queries, how.settings.candidates)
        rows = np.flatnonzero((found.items == targets.numpy()[:, None]).any(axis=1))
        if not len(rows):
            continue
        slates = below.slates([queries[row] for row in rows], Rankings(found.items[rows], found.scores[rows]))
        answers = (slates.items == targets[rows][:, None]).float().argmax(1)
        gains[NONE][asked[rows]] = gained(slates.scores, answers).numpy()
        for kind, one in reranked.fitted.items():
            raw = raw_scores(one.reranking.ranker, slates.to(how.device), below.shelf, SCORED)
            scores = slates.scores + term(raw, slates, one.reranking.gamma).values
            gains[kind][asked[rows]] = gained(scores, answers).numpy()
    return gains
