"""Sealed folders: a manifest names the sha256 of every file, and a changed byte is refused by name.

A run is a folder with two of them. `model/` is immutable and may be published; `state/` holds what users
did and stays private.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dynmm.errors import ArtefactError, NewerArtefact, TamperedArtefact
from dynmm.storage import named_disk_errors, sha256_of, write_bytes

#: Raised when a reader of the version before could not read the result. One step older still loads.
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
MODEL = "model"
STATE = "state"
CANDIDATES = "candidates"
#: What goes on changing in `state/`: the log, snapshots and items that came. Each guards itself.
MOVING = ("events.sqlite", "snapshots", "added")


def seal(folder: Path, facts: dict[str, Any], *, moving: Sequence[str] = ()) -> None:
    """Write the manifest of a finished folder: `facts`, the format and the sha256 of every file in it.

    moving: names in the folder that it does not vouch for, what is beside them with a suffix too. Raises StorageError
    where the disk refuses.
    """
    with named_disk_errors(folder):
        files = {name: sha256_of(folder / name) for name in _files(folder, moving)}
    content = {**facts, "format": FORMAT_VERSION, "files": files}
    write_bytes(folder / MANIFEST, manifest_of(content))


def manifest_of(content: dict[str, Any]) -> bytes:
    """The bytes of the manifest that says this, which is what `open_sealed` returns."""
    return _canonical({**content, "sha256": _digest(content)})


def open_sealed(folder: Path, *, moving: Sequence[str] = ()) -> dict[str, Any]:
    """Read a sealed folder's manifest after checking every byte that it vouches for.

    moving: as in `seal`.

    Raises ArtefactError where there is none, NewerArtefact for a later format, and TamperedArtefact, which
    names the file, where a file is changed, missing or extra.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ArtefactError(f"{folder} holds no {MANIFEST}: this is not a dynmm run, or its copy is not complete")
    raw = path.read_bytes()
    try:
        content = json.loads(raw)
        version = int(content["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise TamperedArtefact(f"{path} is not a readable manifest ({error}); restore the run from a copy") from error
    if version > FORMAT_VERSION:
        raise NewerArtefact(
            f"{path} has format {version}, written by dynmm {content.get('dynmm', 'of a later version')}; this "
            f"version reads up to format {FORMAT_VERSION}: upgrade dynmm to read it"
        )
    claimed = content.pop("sha256", None)
    if claimed != _digest(content) or raw != manifest_of(content):
        raise TamperedArtefact(f"{path} is not what was written: its own checksum does not match; restore the run")
    _check_files(folder, content["files"], moving)
    return dict(content)


def _check_files(folder: Path, expected: dict[str, str], moving: Sequence[str]) -> None:
    present = set(_files(folder, moving))
    for name, digest in sorted(expected.items()):
        if name not in present:
            raise TamperedArtefact(f"{folder / name} is missing; restore the run from a copy")
        if sha256_of(folder / name) != digest:
            raise TamperedArtefact(f"{folder / name} was changed or cut short since it was saved; restore the run")
    extra = sorted(present - set(expected))
    if extra:
        raise TamperedArtefact(f"{folder / extra[0]} does not belong to the run; remove it or restore the run")


def _files(folder: Path, moving: Sequence[str]) -> list[str]:
    """Names of the files that a manifest vouches for. What git or a hub adds (`.gitattributes`) is not the run's."""
    # What moves is not looked into: it may come and go meanwhile.
    tops = [top for top in folder.iterdir() if not _moves(top.name, moving)]
    paths = (path for top in tops for path in (top, *(top.rglob("*") if top.is_dir() else ())))
    names = (path.relative_to(folder).as_posix() for path in paths if path.is_file())
    return sorted(name for name in names if name != MANIFEST and not name.startswith(".git"))


def _moves(top: str, moving: Sequence[str]) -> bool:
    return any(top == name or top.startswith((f"{name}-", f"{name}.", f".{name}")) for name in moving)


def _canonical(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(content)).hexdigest()
