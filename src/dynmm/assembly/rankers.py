"""Re-rankers made, saved and loaded: the trained parts, and the language model that they stand around.

D width of the latents, F facts.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from dynmm.errors import ArtefactError, ConfigError, ModelError, reason
from dynmm.language.inputs import CandidateFeatures
from dynmm.language.settings import PRESETS, LanguageSettings, RerankSettings
from dynmm.language.slates import Shelf, Slates
from dynmm.language.system import Reranking
from dynmm.language.table import entry_of, make
from dynmm.stages import StageCache
from dynmm.storage import named_disk_errors, write_json

if TYPE_CHECKING:
    from dynmm.language.contracts import FrozenModel

logger = logging.getLogger(__name__)

WEIGHTS_FILE, CARD_FILE, MODEL_DIR = "weights.safetensors", "reranker.json", "model"
#: The name under which a language model is the one that a fit has pretrained itself.
COMPACT = "compact"
NOT_SERVED = "language.server tells of a prompt's end alone: take a causal language.model and language.layout=branch"
CODE_VERSION = 2


@dataclass(frozen=True, eq=False)
class Frozen:
    """A language model as a run holds it. name: as configured. folder: of the compact one, which a run keeps a copy
    of. facts: of its pretraining. files: sha256 of what decides how it reads, see `reading_files`."""

    name: str
    model: FrozenModel
    folder: Path | None
    facts: Mapping[str, Any]
    files: Mapping[str, str]


#: Finds a frozen model under its settings by its identity, its files and the seed of the fit. See `reopen_frozen`.
Opener = Callable[[LanguageSettings, str, Mapping[str, str], int], Frozen]


@dataclass(frozen=True, eq=False)
class Kept:
    """A fitted re-ranker with all that it is made from again. shape: (D, F). frozen: what it reads with, if
    any. seed: of the fit."""

    reranking: Reranking
    shape: tuple[int, int]
    settings: RerankSettings
    language: LanguageSettings
    frozen: Frozen | None
    seed: int


def new_ranker(
    kind: str,
    shape: tuple[int, int],
    settings: RerankSettings,
    language: LanguageSettings,
    seed: int,
    frozen: Frozen | None,
) -> nn.Module:
    """An untrained re-ranker of a kind. shape: (D, F)."""
    width, facts = shape
    if kind == "language":
        from dynmm.language.layout import Layout

        assert frozen is not None, "a language re-ranker reads with a model"
        made = make(kind, seed, frozen.model, Layout.of(language), width, facts, dropout=settings.dropout)
        return made if language.server is None else _told_by_words(made, frozen.model)
    features = CandidateFeatures(facts, relative=entry_of(kind).relative)
    named = {"hidden": settings.hidden, "rank": settings.rank, "dropout": settings.dropout}
    if kind == "mlp":
        named["members"] = settings.members
    if kind == "transformer":
        named["history"] = PRESETS[language.preset][0]
    return make(kind, seed, features, width, **named)


def _told_by_words(ranker: nn.Module, model: FrozenModel) -> nn.Module:
    """The ranker with the read-out that a server can give: the likelihood of one word. Raises ConfigError."""
    from dynmm.language.answering import AnswerReadOut, answer_token
    from dynmm.language.ranker import LanguageRanker

    assert isinstance(ranker, LanguageRanker)
    if ranker.layout.arrangement != "branch" or not model.caches:
        raise ConfigError(NOT_SERVED)
    ranker.readout = AnswerReadOut(model, answer_token(model))  # type: ignore[assignment]  # either reads out
    return ranker


def served(language: LanguageSettings) -> tuple[str, str] | None:
    """Address and name of the server that is configured, None in process."""
    return None if language.server is None else (language.server, language.served_as)


def standardise(ranker: nn.Module, slates: Slates, shelf: Shelf) -> None:
    """Fit what comes in to the training slates, once and before training."""
    fit = getattr(ranker, "fit", None)
    if fit is not None:
        fit(slates, shelf)
    else:
        features = ranker.features
        assert isinstance(features, CandidateFeatures)
        features.fit(slates, shelf)


def open_frozen(
    language: LanguageSettings,
    texts: Sequence[str],
    seed: int,
    device: torch.device,
    cache: StageCache,
    on_progress: Callable[[float], None] | None = None,
) -> Frozen:
    """The configured language model; the compact one is pretrained on the catalogue's texts, through the cache.

    Raises ModelError, MissingExtraError, and UnsupportedByData for a catalogue without a text.
    """
    from dynmm.language.folders import reading_files

    if language.model != COMPACT:
        model = _opened(language.model, language, device, recompute=language.recompute)
        return _drawn(model, language, None, {"name": language.model}, seed, reading_files(language.model))
    found = _compact(language, texts, seed, device, cache, on_progress)
    facts = {"name": COMPACT, **json.loads((found / "report.json").read_bytes())}
    model = _opened(found / MODEL_DIR, language, device, recompute=language.recompute)
    files = reading_files(found / MODEL_DIR)
    return _drawn(model, language, found / MODEL_DIR, facts, seed, files)


def kept_model(folder: Path) -> Path:
    """Where a run keeps its compact model. folder: of the re-rankers or of the voice, which read with the same one."""
    before = folder / MODEL_DIR  # each had a copy
    return before if before.is_dir() else folder.parent / COMPACT


def place_of_saved(language: LanguageSettings, folder: Path) -> str | Path:
    """Where the model of a saved run lies. folder: see `kept_model`.

    Another's lies where the environment says, else where it was fitted with; what is opened there is checked by hash.
    """
    from dynmm.language.folders import MINILM, PLACE_VARIABLE

    if language.model == COMPACT:
        return kept_model(folder)
    elsewhere = "" if language.model == MINILM else os.environ.get(PLACE_VARIABLE, "")
    return elsewhere or language.model


def reopen_frozen(
    source: str | Path,
    language: LanguageSettings,
    identity: str,
    files: Mapping[str, str],
    seed: int,
    device: torch.device,
) -> Frozen:
    """The model that a re-ranker was trained with. source: its folder or name. identity, files: of that model.

    Raises ModelError for another, and where its configuration or its tokenizer is another, naming the file.
    """
    from dynmm.language.folders import check_reading_files

    check_reading_files(source, files)
    folder = Path(source) if language.model == COMPACT else None
    pretrained = language.weights == "pretrained"
    model = _opened(source, language, device, identity if pretrained else None)
    found = _drawn(model, language, folder, {"name": language.model}, seed, files)
    if found.model.identity != identity:
        raise ModelError(
            f"{source} does not give the random weights that the re-ranker was trained with: put the model's files "
            "back, or open it with the version of PyTorch that it was fitted with"
        )
    return found


def _opened(
    source: str | Path,
    language: LanguageSettings,
    device: torch.device,
    expected: str | None = None,
    *,
    recompute: bool = False,
) -> Any:
    from dynmm.language.loading import open_model

    return open_model(
        source, device=str(device), precision=language.precision, expected=expected, checkpointing=recompute
    )


def _drawn(
    model: FrozenModel,
    language: LanguageSettings,
    folder: Path | None,
    facts: Mapping[str, Any],
    seed: int,
    files: Mapping[str, str],
) -> Frozen:
    if language.weights == "random":
        from dynmm.language.twin import random_twin

        model = random_twin(model, seed, checkpointing=language.recompute)  # type: ignore[arg-type]
    return Frozen(language.model, model, folder, {**facts, "weights": language.weights}, files)


def _compact(
    language: LanguageSettings,
    texts: Sequence[str],
    seed: int,
    device: torch.device,
    cache: StageCache,
    on_progress: Callable[[float], None] | None,
) -> Path:
    """The cache's folder of the pretrained compact model."""
    from dynmm.language.compact import pretrain_compact

    digest = hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()
    steps = language.pretrain_steps
    fold = f"seconds={language.pretrain_seconds}" if steps is None else f"steps={steps}"
    key = cache.key("language", data=digest, settings=[], seed=seed, fold=fold, code_version=CODE_VERSION)
    if (found := cache.get(key)) is not None:
        return found
    with cache.put(key) as folder:
        report = pretrain_compact(
            texts,
            folder / MODEL_DIR,
            seconds=language.pretrain_seconds,
            seed=seed,
            steps=steps,
            device=str(device),
            on_progress=None if on_progress is None else lambda done, total, _: on_progress(done / total),
        )
        write_json(folder / "report.json", asdict(report))
    return cache.folder(key)


def save_ranker(kept: Kept, folder: Path) -> None:
    """Write one re-ranker. A frozen model is not written here, only its identity. Raises StorageError."""
    reranking, ranker = kept.reranking, kept.reranking.ranker
    assert isinstance(ranker, nn.Module)
    with named_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: one.detach().cpu().contiguous() for name, one in ranker.state_dict().items()}
        save_file(weights, folder / WEIGHTS_FILE)
    card = {
        "kind": reranking.kind,
        "gamma": reranking.gamma,
        "candidates": reranking.candidates,
        "shape": list(kept.shape),
        "rerank": kept.settings.model_dump(mode="json"),
        "language": kept.language.model_dump(mode="json"),
        "seed": kept.seed,
        "identity": None if kept.frozen is None else kept.frozen.model.identity,
        "files": None if kept.frozen is None else dict(kept.frozen.files),
    }
    write_json(folder / CARD_FILE, card)


def load_ranker(folder: Path, device: torch.device, opened: Opener, serving: LanguageSettings | None = None) -> Kept:
    """Read what `save_ranker` wrote. opened: finds the frozen model. serving: settings to serve under, None as saved.

    Raises ArtefactError, ModelError.
    """
    try:
        card = json.loads((folder / CARD_FILE).read_bytes())
        settings, language = (
            RerankSettings.model_validate(card["rerank"]),
            serving or LanguageSettings.model_validate(card["language"]),
        )
        shape = (int(card["shape"][0]), int(card["shape"][1]))
        frozen = None
        if card["identity"] is not None:
            frozen = opened(language, card["identity"], card["files"], int(card["seed"]))
        ranker = new_ranker(card["kind"], shape, settings, language, int(card["seed"]), frozen).to(device)
        ranker.load_state_dict(load_file(folder / WEIGHTS_FILE))
        ranker.eval()
        reranking = Reranking(
            card["kind"],
            ranker,
            float(card["gamma"]),
            int(card["candidates"]),
            language.deadline_ms,
            language.cache_prefixes,
            served(language),
            language.batch_wait_ms,
        )
        return Kept(reranking, shape, settings, language, frozen, int(card["seed"]))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ArtefactError(
            f"the re-ranker in {folder} cannot be read: {reason(error)}; copy the run again, or fit it again"
        ) from error


def keep_model(model: Path, folder: Path) -> None:
    """Keep a copy of a compact model with the run, unless it has it. folder: see `kept_model`. Raises StorageError."""
    kept = kept_model(folder)
    if not kept.is_dir():
        with named_disk_errors(kept):
            shutil.copytree(model, kept)


def weights_sha256(kept: Kept) -> str:
    """Of every trained value, by name, and of the model that it reads with."""
    ranker = kept.reranking.ranker
    assert isinstance(ranker, nn.Module)
    digest = hashlib.sha256(b"" if kept.frozen is None else kept.frozen.model.identity.encode())
    for name, value in sorted(ranker.state_dict().items()):
        digest.update(name.encode() + b"\0" + value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
