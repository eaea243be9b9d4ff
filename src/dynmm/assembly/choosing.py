"""Which re-ranker serves: the one that does best on validation, the stages below as they are among them."""

from __future__ import annotations

import numpy as np
import torch

from dynmm.assembly.questioning import ROWS, Training
from dynmm.assembly.reranked import NONE, Reranked, StagesBelow
from dynmm.assembly.whole import Whole
from dynmm.interactions.cases import Cases
from dynmm.language.gamma import ndcg, term
from dynmm.language.learning import raw_scores
from dynmm.randomness import generator
from dynmm.system import Query, Rankings

#: Questions that are scored at once.
SCORED = 64


def choose(whole: Whole, reranked: Reranked, validation: Cases | None, how: Training) -> tuple[str, dict[str, float]]:
    """The kind with the best NDCG@10 on validation, none among them, and what each reaches."""
    if validation is None or not len(validation) or not reranked.fitted:
        return (NONE if how.config.rerank == "auto" else next(iter(reranked.fitted), NONE)), {}
    how.stage("which re-ranker serves")
    count = min(how.settings.validated, len(validation))
    drawn = np.sort(generator(how.seed, "rerank validation").permutation(len(validation))[:count])
    cases, below = validation.take(drawn), StagesBelow(whole, reranked)
    sums = dict.fromkeys((NONE, *reranked.fitted), 0.0)
    for start in range(0, len(cases), ROWS):
        asked = range(start, min(start + ROWS, len(cases)))
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
            raw = raw_scores(one.reranking.ranker, slates.to(how.device), below.shelf, SCORED)
            sums[kind] += ndcg(slates.scores + term(raw, slates, one.reranking.gamma).values, answers) * len(rows)
    reached = {kind: value / count for kind, value in sums.items()}
    if how.config.rerank != "auto":
        return how.config.rerank if reached[how.config.rerank] > reached[NONE] else NONE, reached
    # The first of equals is the simplest.
    return max(reached, key=lambda kind: reached[kind]), reached
