"""Snapshots of what follows from a log: each whole or absent, and bound to the records that it follows from."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynmm.storage import named_disk_errors, new_folder, sha256_of, write_json

logger = logging.getLogger(__name__)

CARD = "snapshot.json"
_NAME = re.compile(r"\d{12}")


@dataclass(frozen=True)
class Snapshot:
    """A whole one. length, head: records of the log that it follows from, and the hash of the last."""

    length: int
    head: str
    folder: Path


class SnapshotStore:
    """The newest few snapshots, in a folder of their own."""

    def __init__(self, folder: Path, *, keep: int = 3) -> None:
        self._folder, self._keep = folder, keep

    def put(self, length: int, head: str, write: Callable[[Path], None]) -> Snapshot:
        """Take one; it is there when it is whole and on the disk. write: fills a folder. Raises StorageError."""
        target = self._folder / f"{length:012d}"
        with new_folder(target) as beside:
            write(beside)
            with named_disk_errors(beside):
                files = {name: sha256_of(beside / name) for name in _files(beside)}
            write_json(beside / CARD, {"length": length, "head": head, "files": files})
        self._prune()
        return Snapshot(length, head, target)

    def good(self, head_at: Callable[[int], str | None]) -> Iterator[Snapshot]:
        """Whole ones that lie on the log, newest first; a damaged one is named in a warning and passed over.

        head_at: the hash of the log after so many records, None where it is shorter.
        """
        for folder in sorted(self._all(), reverse=True):
            try:
                found = _checked(folder)
            except (OSError, ValueError, KeyError, TypeError) as error:
                logger.warning("the snapshot %s is damaged and not used: %s", folder, error)
                continue
            if head_at(found.length) == found.head:
                yield found
            else:
                logger.warning("the snapshot %s does not belong to this log and is not used", folder)

    def _all(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return [one for one in self._folder.iterdir() if one.is_dir() and _NAME.fullmatch(one.name)]

    def _prune(self) -> None:
        for folder in sorted(self._all())[: -self._keep]:
            shutil.rmtree(folder, ignore_errors=True)
        # What a broken-off `put` left behind.
        for folder in self._folder.glob(".*"):
            shutil.rmtree(folder, ignore_errors=True)


def _checked(folder: Path) -> Snapshot:
    card: dict[str, Any] = json.loads((folder / CARD).read_bytes())
    expected, present = card["files"], set(_files(folder))
    if present != set(expected):
        raise ValueError(f"its files are {sorted(present)}, and were {sorted(expected)}")
    for name, digest in expected.items():
        if sha256_of(folder / name) != digest:
            raise ValueError(f"{name} was changed or cut short")
    return Snapshot(int(card["length"]), str(card["head"]), folder)


def _files(folder: Path) -> list[str]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in paths if path != folder / CARD)
