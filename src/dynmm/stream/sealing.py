"""A seal beside a log that was closed well: its bytes, and where it ended.

It saves the check of a whole log on opening, and tells when a log ends before what it once acknowledged.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from dynmm.errors import TamperedArtefact
from dynmm.storage import named_disk_errors, sha256_of, sync_folder, write_json


@dataclass(frozen=True)
class Seal:
    """size and sha256 of the file; offset and head of the log in it."""

    size: int
    sha256: str
    offset: int
    head: str


def seal_path(path: Path) -> Path:
    """Where the seal of a log lies."""
    return path.with_name(path.name + ".seal")


def write_seal(path: Path, offset: int, head: str) -> None:
    """Seal a closed log. Raises StorageError."""
    with named_disk_errors(path):
        seal = Seal(path.stat().st_size, sha256_of(path), offset, head)
    write_json(seal_path(path), asdict(seal))


def read_seal(path: Path) -> Seal | None:
    """The seal, where there is one. Raises TamperedArtefact where it cannot be read."""
    place = seal_path(path)
    if not place.exists():
        return None
    try:
        content = json.loads(place.read_bytes())
        seal = Seal(**content)
        whole = isinstance(seal.size, int) and isinstance(seal.offset, int)
        whole = whole and len(bytes.fromhex(seal.head)) == 32 == len(bytes.fromhex(seal.sha256))
    except (ValueError, TypeError) as error:
        raise _unreadable(place, str(error)) from error
    if not whole:
        raise _unreadable(place, "a field is not what it should be")
    return seal


def _unreadable(place: Path, why: str) -> TamperedArtefact:
    return TamperedArtefact(f"{place} is no seal of a log ({why}); remove it to have the whole log checked instead")


def is_intact(path: Path, seal: Seal) -> bool:
    """Whether the file is, byte by byte, the one that was sealed."""
    with named_disk_errors(path):
        return path.stat().st_size == seal.size and sha256_of(path) == seal.sha256


def break_seal(path: Path) -> None:
    """Take the seal away for good, before the first write. Raises StorageError."""
    with named_disk_errors(path):
        seal_path(path).unlink(missing_ok=True)
        sync_folder(path.parent)
