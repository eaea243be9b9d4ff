"""What SQLite says of a file, in our own errors."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from dynmm.errors import ArtefactError, DynmmError, StorageError, TamperedArtefact

#: Results that tell of the disk or of other processes, not of the bytes.
_OF_THE_DISK = ("SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PERM", "SQLITE_READONLY")
#: A file that ends too early is damaged, though SQLite calls it an error of reading.
_CUT_SHORT = ("SQLITE_IOERR_SHORT_READ", "SQLITE_IOERR_CORRUPTFS", "SQLITE_READONLY_RECOVERY")


@contextlib.contextmanager
def named_sqlite_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors within the block into StorageError or TamperedArtefact, with the file and the mend."""
    try:
        yield
    except sqlite3.Error as error:
        raise named(path, error) from error
    except (OverflowError, UnicodeDecodeError) as error:
        raise TamperedArtefact(f"{path} is damaged: {error}; restore the log from a copy") from error


def named(path: Path, error: sqlite3.Error) -> DynmmError:
    """The error of ours that says what SQLite met."""
    name = getattr(error, "sqlite_errorname", None) or ""
    if name.startswith(_OF_THE_DISK) and name not in _CUT_SHORT:
        return StorageError(f"{path}: {error} ({name}); {_mend(name)}. What was acknowledged is not touched.")
    if isinstance(error, sqlite3.ProgrammingError):
        return ArtefactError(f"{path}: {error}; the log was closed, open it again")
    return TamperedArtefact(f"{path} is damaged: {error} ({name}); restore the log from a copy")


def _mend(name: str) -> str:
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return "free some space or check the disk, then send the events again"
    if name.startswith("SQLITE_BUSY"):
        return "another process holds the file; close it, then try again"
    return "check that the file and its folder are there and may be written"
