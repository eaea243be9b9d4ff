"""Re-rankers in the folder of a run: each kind, the space they read, and beside them the compact language model."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from dynmm.assembly.kinds import Kinds, opened
from dynmm.assembly.rankers import (
    COMPACT,
    Frozen,
    Kept,
    Opener,
    keep_model,
    kept_model,
    load_ranker,
    place_of_saved,
    reopen_frozen,
    save_ranker,
)
from dynmm.assembly.reranked import NONE, Reranked
from dynmm.assembly.whole import Whole
from dynmm.backbone.system import Backbone
from dynmm.errors import ArtefactError, ModelError, reason
from dynmm.fusion.joint import Joint
from dynmm.fusion.keeping import load_joint, save_joint
from dynmm.language.settings import LanguageSettings
from dynmm.protocols import VectorSpace
from dynmm.storage import named_disk_errors, write_json

logger = logging.getLogger(__name__)

RERANK_DIR = "rerank"
_CARD, _JOINT, _BACKBONE = "rerank.json", "reader-joint", "reader-backbone"


def save_reranked(whole: Whole, folder: Path) -> None:
    """Write every fitted kind; those that were not opened are copied as they lie. Raises StorageError."""
    reranked = whole.reranked
    assert reranked is not None
    with named_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for kind in reranked.fitted:
        if kind in opened(reranked.fitted):
            _save(reranked.fitted[kind], kind, folder)
        else:
            assert isinstance(reranked.fitted, Kinds), "what was fitted here is in memory"
            _copy(reranked.fitted.folders[kind], kind, folder)
    if isinstance(reranked.reader, Joint):
        save_joint(reranked.reader, folder / _JOINT)
    elif isinstance(reranked.reader, Backbone):
        reranked.reader.save(folder / _BACKBONE)
    card = {"kinds": list(reranked.fitted), "chosen": reranked.chosen, "history": reranked.history}
    write_json(folder / _CARD, {**card, "facts": dict(reranked.facts)})


def _save(kept: Kept, kind: str, folder: Path) -> None:
    save_ranker(kept, folder / kind)
    if kept.frozen is not None and kept.frozen.folder is not None:
        keep_model(kept.frozen.folder, folder)


def _copy(source: Path, kind: str, folder: Path) -> None:
    with named_disk_errors(source):
        shutil.copytree(source, folder / kind)
    if kind == "language" and (model := kept_model(source.parent)).is_dir():
        keep_model(model, folder)


def load_reranked(
    folder: Path, backbone: Backbone, titles: Sequence[str], device: torch.device, spoken: Frozen | None = None
) -> Reranked:
    """Read what `save_reranked` wrote: the kind that ranks now, the others when they are asked for.

    spoken: the model that words reasons; a re-ranker that reads with the same one does not open it again. Raises
    ArtefactError. See `Kinds`, which refuses a language model that is not there; one that ranks is told here.
    """
    try:
        card = json.loads((folder / _CARD).read_bytes())
        kinds, chosen, history = list(card["kinds"]), str(card["chosen"]), int(card["history"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(
            f"the re-rankers in {folder} cannot be read: {reason(error)}; copy the run again, or fit it again"
        ) from error
    found = _opener(folder, device, spoken)
    folders = {kind: folder / kind for kind in kinds}
    fitted = Kinds({kind: partial(load_ranker, one, device, found) for kind, one in folders.items()}, folders)
    if chosen != NONE:
        try:
            # What cannot serve is told now, and refused at the first question: a deletion, say, asks none.
            fitted[chosen]
        except ModelError as error:
            logger.warning("this run cannot recommend: %s", error)
    return Reranked(fitted, chosen, _reader(folder, backbone, device), titles, history, card["facts"])


def _reader(folder: Path, backbone: Backbone, device: torch.device) -> VectorSpace | None:
    if (folder / _JOINT).is_dir():
        return load_joint(folder / _JOINT, backbone.tower(), device)
    return Backbone.load(folder / _BACKBONE, device) if (folder / _BACKBONE).is_dir() else None


def _opener(folder: Path, device: torch.device, spoken: Frozen | None) -> Opener:
    def found(language: LanguageSettings, identity: str, files: Mapping[str, str], seed: int) -> Frozen:
        source = place_of_saved(language, folder)
        if spoken is not None and spoken.model.identity == identity and spoken.files == files:
            return replace(spoken, folder=Path(source) if language.model == COMPACT else None)
        return reopen_frozen(source, language, identity, files, seed, device)

    return found
