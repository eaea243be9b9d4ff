"""Re-rankers in the folder of a run: each kind, the space they read, and the compact language model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from dynmm.assembly.rankers import COMPACT, MODEL_DIR, Frozen, copy_model, load_ranker, reopen_frozen, save_ranker
from dynmm.assembly.reranked import Reranked
from dynmm.assembly.whole import Whole
from dynmm.backbone.system import Backbone
from dynmm.errors import ArtefactError
from dynmm.fusion.joint import Joint
from dynmm.fusion.keeping import load_joint, save_joint
from dynmm.language.settings import LanguageSettings
from dynmm.protocols import VectorSpace
from dynmm.storage import named_disk_errors, write_json

RERANK_DIR = "rerank"
_CARD, _JOINT, _BACKBONE = "rerank.json", "reader-joint", "reader-backbone"


def save_reranked(whole: Whole, folder: Path) -> None:
    """Write every fitted kind. Raises StorageError."""
    reranked = whole.reranked
    assert reranked is not None
    with named_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for kind, kept in reranked.fitted.items():
        save_ranker(kept, folder / kind)
        if kept.frozen is not None and kept.frozen.folder is not None:
            copy_model(kept.frozen.folder, folder / MODEL_DIR)
    if isinstance(reranked.reader, Joint):
        save_joint(reranked.reader, folder / _JOINT)
    elif isinstance(reranked.reader, Backbone):
        reranked.reader.save(folder / _BACKBONE)
    card = {"kinds": list(reranked.fitted), "chosen": reranked.chosen, "history": reranked.history}
    write_json(folder / _CARD, {**card, "facts": dict(reranked.facts)})


def load_reranked(folder: Path, backbone: Backbone, titles: Sequence[str], device: torch.device) -> Reranked:
    """Read what `save_reranked` wrote. Raises ArtefactError, and ModelError for a language model that is not there."""
    try:
        card = json.loads((folder / _CARD).read_bytes())
        kinds, chosen, history = list(card["kinds"]), str(card["chosen"]), int(card["history"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"the re-rankers in {folder} cannot be read: {error}; copy the run again") from error
    opened = _opener(folder, device)
    fitted = {kind: load_ranker(folder / kind, device, opened) for kind in kinds}
    return Reranked(fitted, chosen, _reader(folder, backbone, device), titles, history, card["facts"])


def _reader(folder: Path, backbone: Backbone, device: torch.device) -> VectorSpace | None:
    if (folder / _JOINT).is_dir():
        return load_joint(folder / _JOINT, backbone.tower(), device)
    return Backbone.load(folder / _BACKBONE, device) if (folder / _BACKBONE).is_dir() else None


def _opener(folder: Path, device: torch.device) -> Callable[[LanguageSettings, str, int], Frozen]:
    def opened(language: LanguageSettings, identity: str, seed: int) -> Frozen:
        source = folder / MODEL_DIR if language.model == COMPACT else language.model
        return reopen_frozen(source, language, identity, seed, device)

    return opened
