"""What a fit can say of its language model before anything is encoded and trained for it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from dynmm.assembly.rankers import COMPACT, NOT_SERVED
from dynmm.config import Config
from dynmm.errors import ConfigError, MissingExtraError, ModelError
from dynmm.language.folders import MINILM

logger = logging.getLogger(__name__)

NOT_TAUGHT = (
    "language.wording teaches by words, and an encoder makes none: take a causal language.model, or set it to 0"
)
NOT_WRITING = "language.writes: an encoder can rank but not write; take a causal language.model, or set it to false"


#: What every kind of re-ranker reads of `language`; what words reasons reads.
_SHARED = frozenset({"preset", "margin"})
_WORDING = frozenset(
    {
        "writes",
        "model",
        "weights",
        "precision",
        "pretrain_seconds",
        "pretrain_steps",
        "server",
        "served_as",
        "words_deadline_ms",
    }
)


def located(config: Config) -> Config:
    """The same with the whole path of a language model that is named by a folder, as from here.

    A run finds the model by that name, wherever it is opened from; else it would ask the hub for it.
    """
    folder = Path(config.language.model).expanduser()
    if config.language.model in (COMPACT, MINILM, "") or not folder.is_dir():
        return config
    language = config.language.model_copy(update={"model": os.path.abspath(folder)})
    return config.model_copy(update={"language": language})


def check_language(config: Config) -> None:
    """Refuse a language model that is not there, is broken in its files, or cannot do what is asked of it.

    Weights are not read here, and no model is asked where `rerank=auto` may do without one. Keys that nothing will
    read are named in a warning. Raises ModelError, MissingExtraError, and ConfigError.
    """
    language = config.language
    ranks = config.rerank in ("auto", "language") and config.evidence.variant == "scored"
    if not ranks and (idle := _idle(config)):
        logger.warning(
            "nothing reads %s with rerank=%s: leave out what no language model is asked for, or take rerank=language",
            ", ".join(f"language.{name}" for name in idle),
            config.rerank,
        )
    if not ranks and not language.writes:
        return
    try:
        causal = _is_causal(language.model)
    except MissingExtraError:
        if config.rerank == "language" or language.writes:
            raise
        return
    if language.writes and language.server is None:
        from dynmm.language.grammar import check_library

        check_library()
    if causal:
        return
    if ranks and language.server is not None:
        raise ConfigError(NOT_SERVED)
    if ranks and language.wording > 0:
        raise ConfigError(NOT_TAUGHT)
    if language.writes:
        raise ModelError(NOT_WRITING)


def _idle(config: Config) -> list[str]:
    """Keys that differ from their defaults, where no language model ranks, and are read by nothing else."""
    language = config.language
    read = (frozenset() if config.rerank == "none" else _SHARED) | (_WORDING if language.writes else frozenset())
    fields = type(language).model_fields
    return [name for name, one in fields.items() if name not in read and getattr(language, name) != one.default]


def _is_causal(name: str) -> bool:
    """Whether a model makes words. Raises as `loading.causal_files`."""
    from dynmm import transformers_library
    from dynmm.language.loading import causal_files

    transformers_library.transformers("llm")
    return name == COMPACT or causal_files(name)
