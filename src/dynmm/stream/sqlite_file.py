"""The SQLite file of a log: opened, locked, migrated, and its end read and proved."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dynmm.errors import ArtefactError, NewerArtefact, StorageError, TamperedArtefact
from dynmm.stream.chain import EVENT, MARK, START, chained

try:
    import fcntl
except ImportError:  # not on Windows, where SQLite's own locks keep a second writer out of a commit alone
    fcntl = None  # type: ignore[assignment]

SCHEMA = 2
_APPLICATION = 0x64796E6D  # "dynm"
_TABLES = """
CREATE TABLE records (
  position INTEGER PRIMARY KEY, kind INTEGER NOT NULL, id TEXT, received INTEGER NOT NULL, body TEXT NOT NULL,
  hash BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX records_by_id ON records(id) WHERE id IS NOT NULL;
CREATE INDEX marks ON records(position) WHERE kind = 1;
"""
#: The newest records are proved when a log is opened; all of them when they are read.
_PROVED = 1_000
#: A file up to so many bytes is looked through whole when it is opened.
_LOOKED_THROUGH = 64 * 2**20
#: Milliseconds that a reader or a writer waits for another's commit.
_PATIENCE = 10_000

#: Primary codes of SQLite for trouble of the disk, in which nothing is wrong with the file itself.
_DISK = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
}


@dataclass(frozen=True)
class Tail:
    """The end of a log: records, marks among them, and the hash of the last one."""

    length: int = 0
    marks: int = 0
    head: bytes = START

    @property
    def offset(self) -> int:
        """Events."""
        return self.length - self.marks


class Connection:
    """One connection, which can be opened anew after a failure."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self._path, self._read_only = path, read_only
        self.plain = self._open()

    def _open(self) -> sqlite3.Connection:
        mode = "ro" if self._read_only else "rwc"
        address = f"{self._path.absolute().as_uri()}?mode={mode}"
        made = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        made.execute(f"PRAGMA busy_timeout = {_PATIENCE}")
        if not self._read_only:
            made.execute("PRAGMA journal_mode = WAL")
            made.execute("PRAGMA synchronous = FULL")
        made.execute("PRAGMA cell_size_check = ON")
        return made

    def reopen(self) -> None:
        """Begin anew, whatever state the old one is in."""
        with named_errors(self._path, "opened again"):
            self.close()
            self.plain = self._open()

    def close(self) -> None:
        """Let go of the file."""
        with contextlib.suppress(sqlite3.Error):
            self.plain.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Cursor]:
        """All of the block on the disk, or nothing of it."""
        cursor = self.plain.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            yield cursor
            cursor.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                cursor.execute("ROLLBACK")
            raise

    def head_at(self, length: int) -> str | None:
        """See `EventLog.head_at`."""
        if length == 0:
            return START.hex()
        row = self.plain.execute("SELECT hash FROM records WHERE position = ?", (length - 1,)).fetchone()
        return None if row is None else bytes(row[0]).hex()

    def check_structure(self, path: Path) -> None:
        """Let SQLite look through its own file. Raises TamperedArtefact."""
        with named_errors(path, "checked"):
            (found,) = self.plain.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise tampered(path, str(found))


class WriterLock:
    """One at a time writes to a log. Raises StorageError where somebody else does."""

    def __init__(self, path: Path) -> None:
        self._let_go: weakref.finalize[[int], WriterLock] | None = None
        if fcntl is None:
            return
        try:
            handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StorageError(f"could not open {path}.lock: {error.strerror}; check the folder") from error
        # Whoever forgets to release it holds it no longer than it lives.
        self._let_go = weakref.finalize(self, os.close, handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise StorageError(
                f"{path} is being written to by another process, or by another recommender of this one; close that, or "
                "let it take the events in"
            ) from None

    def release(self) -> None:
        """Let somebody else write."""
        if self._let_go is not None:
            self._let_go()


@contextlib.contextmanager
def named_errors(path: Path, what: str) -> Iterator[None]:
    """Turn SQLite's errors within the block into ours: of the disk, or of a file that was changed."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None and code & 0xFF in _DISK:
            raise StorageError(
                f"{path} could not be {what}: {error}; free some space or check the disk, then try again. Nothing was "
                "acknowledged"
            ) from error
        raise tampered(path, str(error)) from error
    except (UnicodeDecodeError, OverflowError) as error:
        raise tampered(path, str(error)) from error


def tampered(path: Path, why: str, offset: int | None = None) -> TamperedArtefact:
    """What is told of a log whose bytes are not those that were written."""
    where = "" if offset is None else f", record {offset:,}"
    return TamperedArtefact(f"{path}{where} is not what was written: {why}; restore the log from a copy")


def open_file(path: Path, *, read_only: bool) -> Connection:
    """Open or begin the file of a log. Raises StorageError, ArtefactError, NewerArtefact, TamperedArtefact."""
    if read_only and not path.is_file():
        raise ArtefactError(f"there is no log at {path}")
    with named_errors(path, "opened"):
        connection = Connection(path, read_only=read_only)
        try:
            _prepare(connection, path, read_only=read_only)
            if path.stat().st_size <= _LOOKED_THROUGH:
                connection.check_structure(path)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: Connection, path: Path, *, read_only: bool) -> None:
    """Tables of this version, made or migrated to."""
    plain = connection.plain
    (version,) = plain.execute("PRAGMA user_version").fetchone()
    (tables,) = plain.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version == 0 and tables == 0:
        if read_only:
            return
        with connection.transaction() as cursor:
            for statement in _TABLES.split(";"):
                cursor.execute(statement)
            cursor.execute(f"PRAGMA application_id = {_APPLICATION}")
            cursor.execute(f"PRAGMA user_version = {SCHEMA}")
        return
    (application,) = plain.execute("PRAGMA application_id").fetchone()
    if application != _APPLICATION:
        raise ArtefactError(f"{path} is an SQLite file, but no log of dynmm; move it away")
    if version > SCHEMA:
        raise NewerArtefact(f"{path} has format {version}, and this version of dynmm reads up to {SCHEMA}: upgrade it")
    if version < SCHEMA:
        if read_only:
            raise ArtefactError(f"{path} has the older format {version}; open it for writing once, which migrates it")
        _migrate(connection, version, path)


def _migrate(connection: Connection, version: int, path: Path) -> None:
    """Format 1 had no index of marks. Raises ArtefactError for what was never a format."""
    if version != 1:
        raise ArtefactError(f"{path} has format {version}, which no version of dynmm wrote; restore it from a copy")
    with connection.transaction() as cursor:
        cursor.execute("CREATE INDEX marks ON records(position) WHERE kind = 1")
        cursor.execute(f"PRAGMA user_version = {SCHEMA}")


def read_tail(connection: Connection, path: Path) -> Tail:
    """The end of the log, its newest records proved. Raises TamperedArtefact."""
    with named_errors(path, "read"):
        plain = connection.plain
        if not plain.execute("SELECT count(*) FROM sqlite_master WHERE name = 'records'").fetchone()[0]:
            return Tail()
        last = plain.execute("SELECT max(position) FROM records").fetchone()[0]
        if last is None:
            return Tail()
        first = max(0, last + 1 - _PROVED)
        before = START if first == 0 else bytes.fromhex(connection.head_at(first) or "")
        rows = plain.execute(
            "SELECT position, kind, coalesce(id, ''), received, body, hash FROM records WHERE position >= ? "
            "ORDER BY position",
            (first,),
        )
        expected = first
        for row in rows:
            before = proved(path, before, expected, row)
            expected += 1
        (marks,) = plain.execute("SELECT count(*) FROM records WHERE kind = 1").fetchone()
        return Tail(last + 1, marks, before)


def proved(path: Path, before: bytes, expected: int, row: tuple[int, int, str, int, str, bytes]) -> bytes:
    """The hash of a record that is what was written, where it stands. Raises TamperedArtefact."""
    position, kind, identity, received, body, digest = row
    if position != expected:
        raise tampered(path, f"record {expected:,} is missing", expected)
    if kind not in (EVENT, MARK) or chained(before, kind, identity, received, body) != digest:
        raise tampered(path, "its hash does not follow from it and the record before", position)
    return bytes(digest)
