"""Which re-ranker serves: the one that does best on validation, the stages below as they are among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from dynmm.assembly.questioning import ROWS, Training
from dynmm.assembly.reranked import NONE, Reranked, StagesBelow
from dynmm.assembly.whole import Whole
from dynmm.evidence.passing import Passing, blocks
from dynmm.interactions.cases import Cases
from dynmm.language.gamma import Gain, gained, term
from dynmm.language.learning import raw_scores
from dynmm.randomness import generator
from dynmm.system import Query, Rankings

#: Questions that are scored at once.
SCORED = 64

#: Standard errors by which a kind must gain over the stages below, on the questions that chose its weight and on
#: validation together. Several kinds are tried, each in several epochs and under several weights, and the best of them
#: is often the luckiest.
_SURE = 2.0


def choose(
    whole: Whole, reranked: Reranked, held: Mapping[str, Gain], validation: Cases | None, how: Training
) -> tuple[str, dict[str, dict[str, float]]]:
    """The kind that serves, see `surest`, and what was measured of each.

    Without validation the first that was trained where one is asked for by name, and none where it is to be chosen.
    """
    if validation is None or not len(validation) or not reranked.fitted:
        return (NONE if how.config.rerank == "auto" else next(iter(reranked.fitted), NONE)), {}
    how.stage("which re-ranker serves")
    return surest(_reached(whole, reranked, validation, how), held)


def surest(
    reached: Mapping[str, NDArray[np.float64]], held: Mapping[str, Gain]
) -> tuple[str, dict[str, dict[str, float]]]:
    """The kind with the best NDCG@10 on validation among those whose gain is sure, and what was measured of each.

    reached: (Q,) NDCG@10 of each question by kind, `NONE` for the stages below. held: what each other kind gains on the
    questions that chose its weight. A kind that gains nothing on validation is never taken, whatever it gained there.
    See docs/decisions/0032-one-bar-over-both-samples.md.
    """
    measured = {kind: {"validation_ndcg@10": float(one.mean())} for kind, one in reached.items()}
    sure = []
    for kind, before in held.items():
        gain = Gain.of(reached[kind] - reached[NONE])
        errors = gain.with_other(before).errors
        measured[kind] |= {"validation_gain": gain.mean, "validation_error": gain.error, "standard_errors": errors}
        if gain.mean > 0 and errors > _SURE:
            sure.append(kind)
    return max(sure, key=lambda kind: measured[kind]["validation_ndcg@10"], default=NONE), measured


def _reached(whole: Whole, reranked: Reranked, validation: Cases, how: Training) -> dict[str, NDArray[np.float64]]:
    """(Q,) NDCG@10 of each question by kind, that of the stages below among them."""
    count = min(how.settings.validated, len(validation))
    drawn = np.sort(generator(how.seed, "rerank validation").permutation(len(validation))[:count])
    cases = validation.take(drawn)
    below = StagesBelow(whole, reranked)
    reached = {kind: np.zeros(count) for kind in (NONE, *reranked.fitted)}
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
        reached[NONE][asked[rows]] = gained(slates.scores, answers).numpy()
        for kind, one in reranked.fitted.items():
            raw = raw_scores(one.reranking.ranker, slates.to(how.device), below.shelf, SCORED)
            scores = slates.scores + term(raw, slates, one.reranking.gamma).values
            reached[kind][asked[rows]] = gained(scores, answers).numpy()
    return reached
