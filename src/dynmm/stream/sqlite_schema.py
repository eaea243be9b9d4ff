"""The tables of the SQLite log, their version, and the migration of the version before."""

from __future__ import annotations

import os
import sqlite3
import uuid
from pathlib import Path

from dynmm.errors import ArtefactError, NewerArtefact, TamperedArtefact
from dynmm.storage import named_disk_errors, sync_folder
from dynmm.stream.sqlite_errors import named_sqlite_errors

#: 1 kept no index of ids and could not tell a reader that the log was rewritten. It is migrated on opening.
FORMAT = 2

_META = "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID"
_RECORDS = (
    "CREATE TABLE records (place INTEGER PRIMARY KEY, what INTEGER NOT NULL, at INTEGER NOT NULL, "
    "received INTEGER NOT NULL, body BLOB NOT NULL, digest BLOB NOT NULL)"
)
_IDS = "CREATE TABLE ids (id BLOB PRIMARY KEY, place INTEGER NOT NULL) WITHOUT ROWID"

TABLES = {1: {"meta": _META, "records": _RECORDS}, 2: {"meta": _META, "records": _RECORDS, "ids": _IDS}}


def connect(path: Path, *, reading: bool, patience: float, still: bool = False) -> sqlite3.Connection:
    """A connection without transactions of its own; text comes as bytes, since a damaged one may be no text.

    still: nobody writes, so that reading makes no file beside it.
    """
    mode = "ro&immutable=1" if still else "ro" if reading else "rw"
    with named_sqlite_errors(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=patience,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.text_factory = bytes
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
    return connection


def prepare_to_write(connection: sqlite3.Connection, path: Path, checkpoint_pages: int, cache_mebibytes: int) -> None:
    """Write-ahead log, one fsync for each commit, and no ghosts of what is deleted."""
    with named_sqlite_errors(path):
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode not in (b"wal", "wal"):
            raise ArtefactError(f"{path}: the file system allows no write-ahead log ({mode!r}); choose a local disk")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {checkpoint_pages}")
        connection.execute(f"PRAGMA cache_size = {-1024 * cache_mebibytes}")


def create(path: Path) -> None:
    """An empty log, whole or not there at all. Raises StorageError."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with named_disk_errors(path):
            os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        connection = connect(beside, reading=False, patience=0)
        with named_sqlite_errors(path):
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN")
            for statement in TABLES[FORMAT].values():
                connection.execute(statement)
            connection.executemany("INSERT INTO meta VALUES (?, ?)", [("format", FORMAT), ("generation", 0)])
            connection.execute("COMMIT")
            connection.close()
        with named_disk_errors(path):
            os.replace(beside, path)
            sync_folder(path.parent)
    finally:
        for left in (beside, beside.with_name(beside.name + "-journal")):
            left.unlink(missing_ok=True)


def sweep(path: Path) -> None:
    """Remove what a crash left of a log that was being made. The caller holds the lock."""
    with named_disk_errors(path):
        for left in path.parent.glob(f".{path.name}.*"):
            left.unlink(missing_ok=True)


def format_of(connection: sqlite3.Connection, path: Path) -> int:
    """The format of a log that this version can read or migrate.

    Raises NewerArtefact for a later one, TamperedArtefact where the tables are not those of any.
    """
    with named_sqlite_errors(path):
        rows = dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE type != 'index' OR sql IS NOT NULL"))
        if b"meta" not in rows:
            raise TamperedArtefact(f"{path} is no log of dynmm: it has no table of its format; restore it from a copy")
        found = connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    if found is None or not isinstance(found[0], int) or found[0] < 1:
        raise TamperedArtefact(f"{path} does not say its format; restore the log from a copy")
    if found[0] > FORMAT:
        raise NewerArtefact(
            f"{path} has format {found[0]} of the log, and this version reads up to {FORMAT}; upgrade dynmm to read it"
        )
    expected = {name.encode(): sql.encode() for name, sql in TABLES[found[0]].items()}
    if rows != expected:
        raise TamperedArtefact(f"{path}: the tables are not those of format {found[0]}; restore the log from a copy")
    return int(found[0])


def add_ids(connection: sqlite3.Connection) -> None:
    """The first step from format 1 to 2, within a transaction. The caller fills the table."""
    connection.execute(_IDS)
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [("format", FORMAT), ("generation", 0)],
    )


def generation(connection: sqlite3.Connection, path: Path) -> int:
    """How often the log was rewritten. Raises TamperedArtefact where that is not known."""
    found = connection.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()
    if found is None or not isinstance(found[0], int):
        raise TamperedArtefact(f"{path} does not say how often it was rewritten; restore the log from a copy")
    return int(found[0])
