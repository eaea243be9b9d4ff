"""Snapshots of what was made of a log: whole or absent, each with the offset and the head that it stands for."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynmm.errors import ArtefactError, ConfigError, NewerArtefact, TamperedArtefact
from dynmm.storage import named_disk_errors, new_folder, sha256_of, sync_folder, write_bytes

logger = logging.getLogger(__name__)

FORMAT = 1
MANIFEST = "snapshot.json"
_NAME = re.compile(r"at-(\d{20})-([0-9a-f]{16})")


@dataclass(frozen=True)
class Snapshot:
    """A whole snapshot. folder: what `write` filled. offset and head: of the log at that moment."""

    folder: Path
    offset: int
    head: str


class SnapshotStore:
    """Snapshots in a folder, the newest `keep` of them. One process writes at a time."""

    def __init__(self, folder: str | Path, keep: int = 3) -> None:
        if keep < 1:
            raise ConfigError(f"keep is {keep}; at least one snapshot must stay")
        self._folder = Path(folder)
        self._keep = keep

    def put(self, offset: int, head: str, write: Callable[[Path], None]) -> Snapshot:
        """Keep what `write` puts into the folder that it is given, and prune. Raises StorageError.

        On any failure, a kill included, there is the whole snapshot or none.
        """
        self._sweep()
        target = self._folder / f"at-{offset:020d}-{head[:16]}"
        with new_folder(target) as folder:
            write(folder)
            with named_disk_errors(target):
                files = {name: sha256_of(folder / name) for name in _files(folder)}
            content = {"format": FORMAT, "offset": offset, "head": head, "files": files}
            write_bytes(folder / MANIFEST, _sealed(content))
        self.prune()
        return Snapshot(target, offset, head)

    def newest(self, offset: int, is_prefix: Callable[[int, str], bool]) -> Snapshot | None:
        """The newest whole snapshot up to `offset` that belongs to the log; None where there is none.

        is_prefix: whether the log once had this offset and head (`EventLog.holds`). A damaged snapshot, or one
        of another log, is passed over with a warning.
        """
        for at, folder in self._newest_first():
            if at > offset:
                continue
            try:
                snapshot = _opened(folder)
            except (ArtefactError, OSError) as error:  # whoever writes may be removing it
                logger.warning("passed over a snapshot: %s", error)
                continue
            if is_prefix(snapshot.offset, snapshot.head):
                return snapshot
            logger.warning("passed over the snapshot %s: the log does not hold what it was made of", folder)
        return None

    def behind(self, offset: int) -> Snapshot | None:
        """The newest whole snapshot if it is of more events than `offset`, else None."""
        for at, folder in self._newest_first():
            if at <= offset:
                return None
            try:
                return _opened(folder)
            except (ArtefactError, OSError):  # damaged, which `newest` names, or just being removed
                continue
        return None

    def prune(self) -> None:
        """Remove all but the newest."""
        self._remove([folder for _, folder in self._newest_first()][self._keep :])

    def clear(self) -> None:
        """Remove all, and what a crash left behind."""
        self._remove([folder for _, folder in self._newest_first()])
        self._sweep()

    def _newest_first(self) -> Iterator[tuple[int, Path]]:
        if not self._folder.is_dir():
            return
        with named_disk_errors(self._folder):
            names = [path.name for path in self._folder.iterdir() if _NAME.fullmatch(path.name)]
        # Of several at one offset, between which marks came, the head in the name tells no order.
        for name in sorted(names, key=lambda name: (name[3:23], self._written(name)), reverse=True):
            yield int(name[3:23]), self._folder / name

    def _written(self, name: str) -> int:
        try:
            return (self._folder / name).stat().st_mtime_ns
        except FileNotFoundError:  # whoever writes has removed it
            return 0

    def _remove(self, folders: list[Path]) -> None:
        with named_disk_errors(self._folder):
            for folder in folders:
                # The manifest goes first: what is left of a removal that was cut off is no snapshot.
                (folder / MANIFEST).unlink(missing_ok=True)
                shutil.rmtree(folder)
            if folders:
                sync_folder(self._folder)

    def _sweep(self) -> None:
        """What a kill left of a snapshot that was being written."""
        with named_disk_errors(self._folder):
            for left in self._folder.glob(".at-*"):
                shutil.rmtree(left)


def _opened(folder: Path) -> Snapshot:
    """Raises ArtefactError where a byte is not what was written."""
    path = folder / MANIFEST
    if not path.is_file():
        raise ArtefactError(f"{folder} has no {MANIFEST}; remove it")
    raw = path.read_bytes()
    try:
        content = dict(json.loads(raw))
        content.pop("sha256")
        version = int(content["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise TamperedArtefact(f"{path} cannot be read ({error}); remove {folder}") from error
    if version > FORMAT:
        raise NewerArtefact(f"{path} has format {version} and this version reads {FORMAT}; upgrade dynmm to read it")
    if raw != _sealed(content):
        raise TamperedArtefact(f"{path} is not what was written; remove {folder}")
    present = set(_files(folder))
    for name, digest in content["files"].items():
        if name not in present or sha256_of(folder / name) != digest:
            raise TamperedArtefact(f"{folder / name} is missing or changed; remove {folder}")
    if extra := sorted(present - set(content["files"])):
        raise TamperedArtefact(f"{folder / extra[0]} does not belong to the snapshot; remove it")
    return Snapshot(folder, int(content["offset"]), str(content["head"]))


def _files(folder: Path) -> list[str]:
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if name != MANIFEST)


def _sealed(content: dict[str, Any]) -> bytes:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**content, "sha256": digest}, indent=1, sort_keys=True) + "\n").encode()
