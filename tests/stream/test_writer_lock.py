"""The lock of a writer is of the file that lies there, not of one that was put away."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from dynmm.errors import StorageError
from dynmm.stream.writer_lock import WriterLock


def test_a_lock_whose_file_is_replaced_while_it_is_taken_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder has changed places between the opening of the file and its lock: two would write."""
    path, locked = tmp_path / "log.lock", fcntl.flock

    def late(handle: int, operation: int) -> None:
        monkeypatch.undo()
        os.rename(path, tmp_path / "old.lock")
        other.append(WriterLock(path))
        locked(handle, operation)

    other: list[WriterLock] = []
    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(StorageError, match=r"put in the place.*try again"):
        WriterLock(path)
    other[0].release()
    WriterLock(path).release()
