"""How near written explanations come to reference texts: BLEU, ROUGE and likeness by a text encoder.

Nearness to somebody's words says nothing about truth: a rationale of facts and a text made up from a review differ
in kind. These numbers stand beside the others because published systems report them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import EmptyDataError, MissingExtraError
from dynmm.evaluation.scores import Resampling, Users, intervals, json_ready
from dynmm.types import FloatArray, IntArray

#: (N,) texts -> (N, D) vectors. Any length: they are normalised here.
Embed = Callable[[Sequence[str]], FloatArray]

ROUGE = {"rouge-1": "rouge1", "rouge-2": "rouge2", "rouge-l": "rougeL"}
BLEU = {"bleu-1": 1, "bleu-4": 4}


def wording_scores(
    texts: Sequence[str],
    references: Sequence[str],
    *,
    users: IntArray | None = None,
    embed: Embed | None = None,
    how: Resampling | None = None,
) -> dict[str, Any]:
    """Scores of N texts against one reference each, as JSON values.

    bleu-1, bleu-4: of the corpus, 0 to 100, as sacrebleu defines and signs it (Post 2018); without an interval, as
    it is no mean over texts. rouge-1, -2, -l: F1 with stemming (Lin 2004), and similarity: cosine under `embed`;
    means over texts, with 95 % intervals over users. users: (N,) who asked, each text its own user by default.

    Raises MissingExtraError without sacrebleu and rouge-score, EmptyDataError without texts, ValueError where there
    are not as many references.
    """
    if len(texts) != len(references):
        raise ValueError(f"{len(texts)} texts but {len(references)} references: each text needs its own")
    if not texts:
        raise EmptyDataError("there are no texts to compare with references; write some explanations first")
    asking = Users(np.arange(len(texts)) if users is None else users)
    columns = _rouge(texts, references)
    if embed is not None:
        columns["similarity"] = _cosines(embed(texts), embed(references))
    bounds = intervals(list(columns.values()), asking, how or Resampling())
    told: dict[str, Any] = {"texts": len(texts), "users": len(asking), **_bleu(texts, references)}
    for (name, column), ci95 in zip(columns.items(), bounds, strict=True):
        told[name] = {"mean": asking.mean(column), "ci95": list(ci95)}
    plain: dict[str, Any] = json_ready(told)
    return plain


def _bleu(texts: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    metrics = _library("sacrebleu.metrics")
    told: dict[str, Any] = {}
    for name, order in BLEU.items():
        bleu = metrics.BLEU(max_ngram_order=order)
        score = bleu.corpus_score(list(texts), [list(references)]).score
        told[name] = {"score": float(score), "signature": str(bleu.get_signature())}
    return told


def _rouge(texts: Sequence[str], references: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    scorer = _library("rouge_score.rouge_scorer").RougeScorer(list(ROUGE.values()), use_stemmer=True)
    found = [scorer.score(reference, text) for text, reference in zip(texts, references, strict=True)]
    return {name: np.array([one[theirs].fmeasure for one in found], dtype=float) for name, theirs in ROUGE.items()}


def _cosines(ours: FloatArray, theirs: FloatArray) -> NDArray[np.float64]:
    """(N,) cosine of each pair of rows; 0 where a row is all zeros."""
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(axis=1) / np.where(lengths > 0, lengths, 1.0))


def _library(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            "BLEU and ROUGE need sacrebleu and rouge-score: pip install 'dynmm[text-metrics]'"
        ) from error
