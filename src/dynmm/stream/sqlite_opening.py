"""A file becomes a log that may be trusted: migrated where it is old, by its seal or a check of all of it."""

from __future__ import annotations

import functools
import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from dynmm.errors import DynmmError, StorageError, TamperedArtefact
from dynmm.stream.chain import State, after
from dynmm.stream.sealing import Seal, break_seal, is_intact, read_seal, seal_path
from dynmm.stream.sqlite_checking import check_all, check_structure
from dynmm.stream.sqlite_errors import named_sqlite_errors
from dynmm.stream.sqlite_rows import last_state, plain_records
from dynmm.stream.sqlite_schema import FORMAT, add_ids, connect, format_of, prepare_to_write
from dynmm.stream.sqlite_writing import index_of, write_ids

logger = logging.getLogger(__name__)


def writing_connection(path: Path, patience: float, checkpoint_pages: int, cache_mebibytes: int) -> sqlite3.Connection:
    """The one connection that writes, to a log of this version's format."""
    connection = connect(path, reading=False, patience=patience)
    try:
        found = format_of(connection, path)
        prepare_to_write(connection, path, checkpoint_pages, cache_mebibytes)
        if found < FORMAT:
            _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def reading_connection(path: Path, patience: float) -> sqlite3.Connection:
    """A connection that reads beside whoever writes.

    For that SQLite makes files beside the log. Where the folder may not be written, a log that was closed is read from
    its file alone. Raises StorageError for one that was not.
    """
    connection = connect(path, reading=True, patience=patience)
    try:
        connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except sqlite3.Error:
        # What else is wrong is named where the log is read.
        if os.access(path, os.R_OK) and not os.access(path.parent, os.W_OK):
            connection.close()
            if not _was_closed(path, _looks(path)):
                raise StorageError(
                    f"{path} was not closed by its last writer, and such a log can be read only where its folder may "
                    f"be written: {path.parent} may not. Open it for writing there once and close it, or copy the run, "
                    f"with all files beside the log, to a folder of your own"
                ) from None
            return connect(path, reading=True, patience=patience, still=True)
    return connection


def was_closed(path: Path) -> bool:
    """Whether all of a log is in its file: sealed, byte by byte, with nothing in a write-ahead log."""
    seal, waiting = read_seal(path), _waiting(path)
    return seal is not None and not (waiting.exists() and waiting.stat().st_size) and is_intact(path, seal)


@functools.lru_cache(maxsize=8)
def _was_closed(path: Path, _looks: tuple[tuple[int, int] | None, ...]) -> bool:
    """`was_closed`, asked once of files that look as they did: every question to a log that is read asks."""
    return was_closed(path)


def _looks(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """When each file of a log was modified, and its size."""
    stats = [one.stat() if one.exists() else None for one in (path, seal_path(path), _waiting(path))]
    return tuple(one and (one.st_mtime_ns, one.st_size) for one in stats)


def _waiting(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def checked_connection(path: Path, make: Callable[[], sqlite3.Connection]) -> tuple[sqlite3.Connection, State]:
    """A connection to a log whose bytes are what was written, and where it ends. Raises as `SqliteLog` does."""
    # SQLite takes an empty file for a new one. Ours are never empty: they are made whole or not at all.
    if path.stat().st_size == 0:
        raise TamperedArtefact(f"{path} is empty, and no log ever was; restore it from a copy, or remove it")
    seal, intact = read_seal(path), was_closed(path)
    connection = make()
    try:
        state = last_state(connection, path) if intact else check_all(connection, path)
        if seal is not None:
            _must_reach(connection, path, seal, state)
        if not intact:
            logger.info("%s was not closed by its last writer; all %d records were checked", path, state.records)
        fold_in(connection, path)
        break_seal(path)
    except BaseException:
        connection.close()
        raise
    return connection, state


def must_be_new(path: Path) -> None:
    """Raises TamperedArtefact where a file is gone that has been a log."""
    if seal_path(path).exists():
        raise TamperedArtefact(
            f"{path} is gone, and {seal_path(path).name} says that it was a log; restore it from a copy, or remove the "
            "seal to begin anew"
        )


def must_reach_its_seal(connection: sqlite3.Connection, path: Path) -> None:
    """Raises TamperedArtefact for a log that ends before its seal, also where it is only read.

    Whoever writes takes the seal away before the first record, and a deletion puts another log and seal in their place.
    """
    seal = read_seal(path)
    if seal is None:
        return
    state = last_state(connection, path)
    if (state.events, state.head) != (seal.offset, seal.head) and read_seal(path) == seal:
        _must_reach(connection, path, seal, state)


def _must_reach(connection: sqlite3.Connection, path: Path, seal: Seal, state: State) -> None:
    if (seal.offset, seal.head) == (state.events, state.head) or seal.head == State().head:
        return
    for page in plain_records(connection, path, 0, state.records):
        if any(record.digest.hex() == seal.head and after(record).events == seal.offset for record in page):
            return
    raise TamperedArtefact(
        f"{path} ends at offset {state.events} and is not the log that was closed at offset {seal.offset}; restore it "
        f"from a copy, or remove {path.name}.seal to go on with what there is"
    )


def fold_in(connection: sqlite3.Connection, path: Path) -> bool:
    """Empty the write-ahead log into the file. False where a reader or the disk does not let it."""
    try:
        with named_sqlite_errors(path):
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except DynmmError as error:
        logger.warning("the write-ahead log stays: %s", error)
        return False
    return not busy


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """From format 1 to 2 in one transaction, over records that are checked as they are read."""
    check_structure(connection, path)
    with named_sqlite_errors(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            add_ids(connection)
            last = connection.execute("SELECT max(place) FROM records").fetchone()[0]
            for page in plain_records(connection, path, 0, 0 if last is None else last + 1):
                write_ids(connection, index_of(page))
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    logger.info("%s was migrated to format %d of the log", path, FORMAT)
