"""One writing process for one file: a lock that the system gives back when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from dynmm.errors import StorageError
from dynmm.storage import named_disk_errors


def lock_of(path: Path) -> Path:
    """The file that is locked by who writes to this one."""
    return path.with_name(path.name + ".lock")


class WriterLock:
    """Held from its making until `release`. Raises StorageError, which names the holder, where another has it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with named_disk_errors(path):
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._handle, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._handle)
            raise StorageError(
                f"{path} is held by process {holder}, which writes this log; one process writes at a time. Stop it, "
                f"or open the log for reading"
            ) from error
        if not self._lies_there():
            os.close(self._handle)
            raise StorageError(
                f"another log was put in the place of that of {path} while it was opened, as a deletion does it; try "
                f"again"
            )
        # The number is for people. Where it cannot be written, as on a full disk, the lock holds all the same.
        try:
            os.pwrite(self._handle, f"{os.getpid():<20}".encode(), 0)
        except OSError:
            os.ftruncate(self._handle, 0)

    def _lies_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._handle), os.stat(self._path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Let another write. The lock's file stays, so that nobody locks one that is being removed."""
        os.close(self._handle)
