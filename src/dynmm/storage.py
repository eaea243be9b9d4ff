"""Files that are whole or absent: written beside, fsynced, renamed. And the hashes that prove it."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dynmm.errors import StorageError

_CHUNK = 1 << 20
#: From Linux's fcntl.h and fs.h.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
#: polars and safetensors raise errors of their own, in which Rust tells of the system's error in words.
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


@contextlib.contextmanager
def named_disk_errors(target: Path) -> Iterator[None]:
    """Turn an error of the disk within the block into a StorageError that names the target and the mend."""
    try:
        yield
    except OSError as error:
        raise _refused(target, error.errno, str(error)) from error
    except Exception as error:
        number = _OS_ERROR.search(str(error))
        if number is None:
            raise
        raise _refused(target, int(number[1]), str(error)) from error


def _refused(target: Path, number: int | None, words: str) -> StorageError:
    reason = os.strerror(number) if number else words
    full = number in (errno.ENOSPC, errno.EDQUOT)
    mend = "free some space or choose another folder" if full else "check the folder and its permissions"
    return StorageError(f"could not write {target}: {reason}; {mend}. Nothing was left half-written.")


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file by `content`, whole or not at all. Raises StorageError.

    A device or a pipe, such as /dev/null, is written to and stays what it is.
    """
    with named_disk_errors(path):
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        # As open() makes files, readable for whoever the umask lets read; a private temporary file is not.
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Replace a file by readable JSON with sorted keys, whole or not at all. Raises StorageError."""
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Fill a folder beside `target`, which takes its place only when the block ends well.

    An existing target is replaced. On any failure the target is as it was. Raises StorageError where the
    disk refuses.
    """
    with named_disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield beside
        with named_disk_errors(target):
            _sync_tree(beside)
            _put_in_place(beside, target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def sweep(target: Path) -> None:
    """Remove what `new_folder` left beside a target when the process was ended in the middle.

    For whoever alone may write there. Raises StorageError.
    """
    for left in target.parent.glob(f".{target.name}.*"):
        try:
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        except OSError as error:
            raise StorageError(
                f"{left} could not be removed: {error.strerror}. It holds what {target} was, or a part, and "
                "what was deleted since; remove it"
            ) from error


def _put_in_place(beside: Path, target: Path) -> None:
    os.chmod(beside, 0o755)
    if not target.exists():
        os.rename(beside, target)
    elif _exchange(beside, target):
        shutil.rmtree(beside, ignore_errors=True)
    else:
        _replace_in_two_steps(beside, target)
    sync_folder(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Two paths change places in one step. False where the system or the file system cannot do that."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    return bool(renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)


def _replace_in_two_steps(beside: Path, target: Path) -> None:
    retired = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
    os.rename(target, retired / "was")
    try:
        os.rename(beside, target)
    except OSError:
        os.rename(retired / "was", target)
        raise
    shutil.rmtree(retired, ignore_errors=True)


def _sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            sync_folder(path)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """The hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
