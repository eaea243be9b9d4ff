"""The content-addressed cache of fitted stages: what was fitted once on the same inputs is not fitted again.

An entry's key names everything that its content follows from; an entry is whole, or it is not there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dynmm.configuration import Settings
from dynmm.storage import named_disk_errors, new_folder, sha256_of, sync_folder, write_json

try:
    import fcntl
except ImportError:  # not on Windows, where two processes must not fit the same stage at once
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from dynmm.interactions.dataset import Dataset

logger = logging.getLogger(__name__)

#: Names the folder of the cache; without it the user's cache folder serves.
CACHE_VARIABLE = "DYNMM_CACHE"

_MANIFEST = "stage.json"


def default_root() -> Path:
    """The folder of the cache where none is named: `DYNMM_CACHE`, else ``~/.cache/dynmm``."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "dynmm"


def data_fingerprint(dataset: Dataset) -> str:
    """The sha256 of what a stage can learn from a data set: ids, events, and the validation that selects.

    Names, notes and the place on disk do not enter.
    """
    digest = hashlib.sha256()
    for ids in (dataset.users.ids, dataset.items.ids):
        digest.update(json.dumps(ids).encode())
    events, cases = dataset.events, dataset.validation
    columns = [dataset.offsets, events.items, events.timestamps, events.ratings, events.weights]
    if cases is not None:
        columns += [cases.users, cases.history_items, cases.history_offsets, cases.target_items, cases.target_offsets]
    for column in columns:
        digest.update(b"none" if column is None else f"{column.dtype.str}{column.shape}".encode())
        if column is not None:
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


class StageCache:
    """Folders of fitted stages under one root, shared safely by any number of processes."""

    def __init__(self, root: Path | None = None) -> None:
        """root: where entries lie; None means `default_root`. Nothing is written before the first entry."""
        self.root = default_root() if root is None else Path(root)

    def key(
        self,
        stage_name: str,
        *,
        data: str,
        settings: Settings | Sequence[Settings],
        seed: int,
        fold: str = "",
        code_version: str | int = 0,
    ) -> str:
        """The name of an entry, e.g. ``backbone-3f9a...``: equal exactly where all inputs are equal.

        data: fingerprint of the data. settings: of this stage and of all before it, in order. fold: which
        part of the data a cross-fit held out. code_version: of the stage's code; raise it when a change to
        the code changes what it fits.
        """
        chain = [settings] if isinstance(settings, Settings) else list(settings)
        inputs = {
            "stage": stage_name,
            "data": data,
            "settings": [[type(one).__qualname__, one.model_dump(mode="json")] for one in chain],
            "seed": int(seed),
            "fold": fold,
            "code_version": str(code_version),
        }
        return f"{stage_name}-{hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:32]}"

    def folder(self, key: str) -> Path:
        """Where the entry of a key lies or would lie."""
        return self.root / "stages" / key

    def get(self, key: str) -> Path | None:
        """The folder of a whole entry, or None where there is none.

        Every file is compared with its sha256. A damaged entry is never used: it is reported in the log and
        removed, so that the stage is fitted again.
        """
        folder = self.folder(key)
        if not folder.is_dir():
            return None
        damage = _damage(folder)
        if damage is None:
            return folder
        logger.warning("the cached stage %s is damaged (%s); it is removed and will be fitted again", folder, damage)
        with named_disk_errors(folder):
            _discard(folder)
        return None

    @contextlib.contextmanager
    def put(self, key: str) -> Iterator[Path]:
        """Fill the folder that the block gets; it becomes the entry when the block ends well.

        Entries are equal where keys are, so where two processes put the same key the first whole one stays.
        Raises StorageError where the disk refuses; nothing half-written stays.
        """
        target = self.folder(key)
        filled = target.with_name(f".{key}.{uuid.uuid4().hex}")
        with new_folder(filled) as beside:
            yield beside
            with named_disk_errors(target):
                files = {path.relative_to(beside).as_posix(): sha256_of(path) for path in _files(beside)}
            write_json(beside / _MANIFEST, {"key": key, "files": files})
        with named_disk_errors(target):
            _adopt(filled, target)

    @contextlib.contextmanager
    def work(self, key: str) -> Iterator[Path]:
        """A folder for the checkpoints of an unfinished stage; removed when the block ends well, else kept.

        Where another process is at work on the same stage, the block gets a folder of its own, which never stays.
        """
        folder = self.root / "work" / key
        with named_disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with _claimed(folder) as ours:
            if ours:
                yield folder
                shutil.rmtree(folder, ignore_errors=True)
                return
        with tempfile.TemporaryDirectory(prefix=f".{key}.", dir=folder.parent, ignore_cleanup_errors=True) as own:
            yield Path(own)


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Whether this block alone works in the folder. The system gives a claim back when its process ends, however."""
    if fcntl is None:
        yield True
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who had the claim before may have removed the folder between our opening it and claiming it.
            ours = os.path.exists(folder) and os.path.samestat(os.fstat(handle), os.stat(folder))
        except BlockingIOError:
            ours = False
        except OSError:  # a file system without such claims
            ours = True
        yield ours
    finally:
        os.close(handle)


def _adopt(filled: Path, target: Path) -> None:
    """Rename a filled folder to its place, unless a whole entry already stands there."""
    while True:
        try:
            os.rename(filled, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                shutil.rmtree(filled, ignore_errors=True)
                raise
            if _damage(target) is None:
                shutil.rmtree(filled, ignore_errors=True)
                return
            _discard(target)
        else:
            sync_folder(target.parent)
            return


def _discard(folder: Path) -> None:
    """Remove an entry so that no other process can meet it half-removed."""
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    with contextlib.suppress(FileNotFoundError):  # another process was first
        os.rename(folder, aside)
    shutil.rmtree(aside, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / _MANIFEST)


def _damage(folder: Path) -> str | None:
    """What is wrong with an entry, in words, or None."""
    try:
        expected: dict[str, str] = json.loads((folder / _MANIFEST).read_bytes())["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"its {_MANIFEST} cannot be read: {error}"
    found = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            return f"{name} is missing"
        if name not in expected:
            return f"{name} is not one of its files"
        if sha256_of(found[name]) != expected[name]:
            return f"{name} has other bytes than when it was written"
    return None
