"""What an unfinished fit leaves on disk after every epoch, whole or not at all.

``progress.json`` names the folder of the newest epoch and the file hashes in it; only what it names is
ever read. It is written last, so a fit that dies at any moment leaves the epoch before.
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dynmm.storage import named_disk_errors, new_folder, sha256_of, write_json
from dynmm.training.reports import EpochReport

logger = logging.getLogger(__name__)

_PROGRESS = "progress.json"
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything that the next epoch follows from, besides the seed.

    state: the model's and the optimizer's tensors by name. best: the model's tensors at the best epoch.
    history: one report for each epoch done.
    """

    state: Tensors
    best: Tensors
    history: tuple[EpochReport, ...]


class Checkpoints:
    """The checkpoints of one fit in one folder."""

    def __init__(self, folder: Path, identity: str) -> None:
        """identity: hash of all that the fit follows from; checkpoints of another fit are not resumed."""
        self.folder, self._identity = folder, identity

    def load(self) -> Checkpoint | None:
        """The newest checkpoint, or None where there is none that fits or can be trusted (logged)."""
        if not (self.folder / _PROGRESS).exists():
            return None
        try:
            progress = json.loads((self.folder / _PROGRESS).read_bytes())
            if progress["identity"] != self._identity:
                logger.info("the checkpoint in %s belongs to another fit; starting anew", self.folder)
                return None
            for name, digest in progress["files"].items():
                if sha256_of(self.folder / name) != digest:
                    raise ValueError(f"{name} has other bytes than when it was written")
            state, best = (load_file(self.folder / progress[part]) for part in ("state", "best"))
            history = tuple(EpochReport(**report) for report in progress["history"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            logger.warning("the checkpoint in %s cannot be used (%s); starting anew", self.folder, error)
            return None
        return Checkpoint(state, best, history)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write one epoch's checkpoint and remove what it replaces. Raises StorageError."""
        epoch, best_epoch = checkpoint.history[-1].epoch, checkpoint.history[-1].best_epoch
        parts = {"state": f"epoch-{epoch}/state.safetensors", "best": f"best-{best_epoch}/weights.safetensors"}
        self._write(parts["state"], checkpoint.state)
        if best_epoch == epoch or not (self.folder / parts["best"]).exists():
            self._write(parts["best"], checkpoint.best)
        files = {name: sha256_of(self.folder / name) for name in parts.values()}
        history = [asdict(report) for report in checkpoint.history]
        progress = {"identity": self._identity, "files": files, "history": history, **parts}
        write_json(self.folder / _PROGRESS, progress)
        self._clear({Path(name).parts[0] for name in parts.values()})

    def _write(self, name: str, tensors: Tensors) -> None:
        target = self.folder / name
        with new_folder(target.parent) as folder, named_disk_errors(target):
            save_file(tensors, folder / target.name)

    def _clear(self, kept: set[str]) -> None:
        for folder in self.folder.iterdir():
            if folder.is_dir() and folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
