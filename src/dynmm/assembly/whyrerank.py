"""What a fit tells of its re-ranker: which one ranks, or why none does."""

from __future__ import annotations

from typing import Any

from dynmm.assembly.rankers import NOT_SERVED
from dynmm.assembly.reranked import NONE
from dynmm.assembly.whole import Whole
from dynmm.config import Config
from dynmm.errors import ConfigError
from dynmm.language.remote import server_key
from dynmm.language.settings import HEADS


def check_rerank(config: Config) -> None:
    """Raise ConfigError where a re-ranker is asked for by name that could never be trained, or served as configured."""
    variant = config.evidence.variant
    if config.rerank not in ("auto", NONE) and variant != "scored":
        raise ConfigError(
            f"rerank={config.rerank} reads the facts of evidence.variant=scored, and this is {variant}: set "
            "evidence.variant=scored, or rerank=none"
        )
    if config.rerank in ("auto", "transformer") and config.reranking.hidden % HEADS:
        raise ConfigError(
            f"reranking.hidden: the width {config.reranking.hidden} cannot be split among the {HEADS} heads of the "
            f"small transformer; choose a multiple of {HEADS}, or rerank=mlp"
        )
    if config.language.server is not None:
        server_key()
        if config.rerank in ("auto", "language") and config.language.layout != "branch":
            raise ConfigError(NOT_SERVED)


def rerank_facts(config: Config, whole: Whole) -> dict[str, Any]:
    """For the manifest: the kind that ranks, with its gamma; why none does; and what was trained, from how much.

    config: of the fit. ``why`` is None where a re-ranker ranks, ``gamma`` where none does.
    """
    reranked, chosen = whole.reranked, whole.reranking
    told = {} if reranked is None else dict(reranked.facts)
    return {
        "learned_from": 0,
        "kinds": {},
        **told,
        "chosen": NONE if chosen is None else chosen.kind,
        "gamma": None if chosen is None else chosen.gamma,
        "why": _why_none(config, whole),
    }


def _why_none(config: Config, whole: Whole) -> str | None:
    if config.rerank == NONE:
        return "rerank=none"
    if config.evidence.variant != "scored":
        return f"re-rankers stand on evidence.variant=scored, and this is {config.evidence.variant}"
    if whole.evidence is None:
        return "re-rankers stand on evidence, and there are too few users to learn its worth from"
    if whole.reranked is None:
        least = config.reranking.least_users
        return f"fewer than {least:,} training questions have their answer among the candidates (reranking.least_users)"
    if whole.reranking is not None:
        return None
    measured = NONE in whole.reranked.facts["kinds"]
    return "no gain over the stages below is sure" if measured else "no validation to choose by"
