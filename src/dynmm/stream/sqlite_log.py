"""The log that needs nothing but a disk: one SQLite file, one writing process, any number of readers."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import Field

from dynmm.configuration import Settings
from dynmm.errors import ArtefactError, StorageError, TamperedArtefact
from dynmm.storage import named_disk_errors
from dynmm.stream import planning
from dynmm.stream.chain import Record, State, after, check, opened
from dynmm.stream.events import Entry, Event, Forgotten, Mark, Receipt
from dynmm.stream.group_commit import GroupCommit
from dynmm.stream.sealing import write_seal
from dynmm.stream.sqlite_checking import check_all
from dynmm.stream.sqlite_errors import named_sqlite_errors
from dynmm.stream.sqlite_forgetting import rewrite_without
from dynmm.stream.sqlite_opening import (
    checked_connection,
    fold_in,
    must_be_new,
    must_reach_its_seal,
    reading_connection,
    writing_connection,
)
from dynmm.stream.sqlite_rows import known_ids, last_state, place_of, record_at, records, state_before
from dynmm.stream.sqlite_schema import create, format_of, generation, sweep
from dynmm.stream.sqlite_writing import write_ids, write_records
from dynmm.stream.writer_lock import WriterLock, lock_of

logger = logging.getLogger(__name__)

#: Most records of one commit that are kept for whoever reads on.
_KEPT = 16_384


class SqliteSettings(Settings):
    """How the SQLite log uses the machine. None of it changes what is stored."""

    patience_s: float = Field(5.0, ge=0, description="Seconds to wait for another process that holds the file.")
    checkpoint_pages: int = Field(4000, ge=1, description="Pages in the write-ahead log before it is folded in.")
    cache_mebibytes: int = Field(64, ge=1, description="Memory for pages of the file while writing.")


class SqliteLog:
    """An `EventLog` in one file, with a write-ahead log and one fsync for each group of appends.

    A log that was closed well is sealed and opens at once where no byte has changed; any other is checked
    from the first record to the last, which takes some seconds for a million events. What a crash cut off was
    never acknowledged and is gone. `read_only` opens beside a writer, and checks what it reads as it reads it; a closed
    log can be read where its folder may not be written.

    Raises StorageError where another process writes, or the disk refuses; TamperedArtefact where bytes are
    not what was written; NewerArtefact for a file of a later version.
    """

    def __init__(self, path: str | Path, settings: SqliteSettings | None = None, *, read_only: bool = False) -> None:
        self._path = Path(path)
        self._settings = settings or SqliteSettings()
        self._read_only = read_only
        self._connection: sqlite3.Connection | None = None
        self._lock: WriterLock | None = None
        self._state, self._written = State(), 0
        self._doubtful = False
        #: What was committed last, for whoever reads on from there; nothing where that is much.
        self._newest: Sequence[Record] = ()
        self._group: GroupCommit[planning.Request, Receipt | Mark] = GroupCommit(self._commit)
        if read_only:
            with self._reading() as connection:
                self._must_be_current(connection)
                must_reach_its_seal(connection, self._path)
        else:
            self._open()

    @classmethod
    def open(cls, where: str) -> SqliteLog:
        """The log at a path, made where there is none."""
        return cls(where)

    @property
    def offset(self) -> int:
        """How many events there are."""
        return self._now().events

    @property
    def marks(self) -> int:
        """How many marks there are."""
        return self._now().marks

    @property
    def head(self) -> str:
        """Hex of the chain over all records."""
        return self._now().head

    def append(self, events: Sequence[Event], *, received: int | None = None) -> Receipt:
        """See `EventLog.append`."""
        return cast(Receipt, self._group.submit(planning.of_events(events, received)))

    def mark(self, kind: str, payload: Mapping[str, Any]) -> Mark:
        """See `EventLog.mark`."""
        return cast(Mark, self._group.submit(planning.of_mark(kind, payload)))

    def read(self, start: int = 0, stop: int | None = None, *, marks_from: int = 0) -> Iterator[Entry | Mark]:
        """See `EventLog.read`. Raises StorageError where `forget` rewrites the log meanwhile."""
        return self._read(*self._snapshot(), start, stop, marks_from)

    def holds(self, offset: int, head: str) -> bool:
        """See `EventLog.holds`."""
        end = self._now()
        if (offset, head) == (0, State().head):
            return True
        if not 0 <= offset <= end.events:
            return False
        with self._reading() as connection:
            # The event before this offset, and the marks behind it.
            place = place_of(connection, self._path, max(offset - 1, 0), end.records)
            state = state_before(connection, self._path, place)
            while place < end.records and state.events <= offset:
                state = check(state, record_at(connection, self._path, place), str(self._path))
                if (state.events, state.head) == (offset, head):
                    return True
                place += 1
        return False

    def verify(self) -> State:
        """Check the whole file: structure, every record, the index of ids. Returns where the log ends.

        Raises TamperedArtefact, which says what is not as it was written.
        """
        with self._reading() as connection:
            return check_all(connection, self._path)

    def forget(self, user: str) -> Forgotten:
        """Take a user's events out of the file, so that it equals a log that was never given them.

        Offsets close up, marks move with them, and the head becomes that of such a log. The ids may come
        again. The old bytes are overwritten, the file is compacted, and the write-ahead log is emptied. A crash
        leaves the log with all or with none of the user's events.

        It does not reach: what marks say in their payload, snapshots and other things made from the log,
        copies and backups, readers that have read already, and blocks that the disk or the file system keeps
        of what was overwritten. Raises StorageError where the disk has no room, about the size of the log, or
        a reader holds the file; then call it again.
        """
        with self._group.alone():
            connection, old = self._writable(), self._state
            with self._all_or_nothing(connection):
                new = rewrite_without(connection, self._path, user, old)
            self._state, self._written, self._newest = new, self._written + (new != old), ()
            with named_sqlite_errors(self._path):
                connection.execute("VACUUM")
            if not fold_in(connection, self._path):
                raise StorageError(
                    f"{self._path}: the user's events are out of the log, but a reader keeps their bytes in the "
                    f"write-ahead log; close it and call forget again"
                )
        gone = old.events - new.events
        return Forgotten(user, gone, new.marks, old.events, new.events, old.head, new.head)

    def close(self) -> None:
        """Fold the write-ahead log in, seal the file and let another process write. May be called again."""
        with self._group.alone():
            connection, self._connection, self._newest = self._connection, None, ()
            if connection is None:
                return
            try:
                # A log that cannot be folded in now, as on a full disk, is whole all the same, and opens checked.
                folded = not self._doubtful and fold_in(connection, self._path)
                connection.close()
                if folded:
                    self._seal()
            finally:
                self._release()

    @contextlib.contextmanager
    def put_away(self) -> Iterator[None]:
        """Closed, while no other process can write yet: for whoever puts another log in its place.

        Raises StorageError where it was closed before: then others may write.
        """
        self._writable()
        lock, self._lock = self._lock, None
        try:
            self.close()
            yield
        finally:
            if lock is not None:
                lock.release()

    def __enter__(self) -> SqliteLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        with named_disk_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = WriterLock(lock_of(self._path))
        try:
            sweep(self._path)
            if not self._path.exists():
                must_be_new(self._path)
                create(self._path)
            self._connection, self._state = checked_connection(self._path, self._connect)
            with named_sqlite_errors(self._path):
                self._written = generation(self._connection, self._path)
        except BaseException:
            self._release()
            raise

    def _connect(self) -> sqlite3.Connection:
        chosen = self._settings
        return writing_connection(self._path, chosen.patience_s, chosen.checkpoint_pages, chosen.cache_mebibytes)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _seal(self) -> None:
        try:
            write_seal(self._path, self._state.events, self._state.head)
        except StorageError as error:
            logger.warning("the log is whole and has no seal, so all of it is checked when it is opened: %s", error)

    def _now(self) -> State:
        return self._snapshot()[0]

    def _snapshot(self) -> tuple[State, int]:
        """Where the log ends, and how often it was rewritten."""
        if not self._read_only:
            return self._state, self._written
        with self._reading() as connection, named_sqlite_errors(self._path):
            connection.execute("BEGIN")
            return last_state(connection, self._path), generation(connection, self._path)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own, so that readers and the writer never wait for each other."""
        connection = reading_connection(self._path, self._settings.patience_s)
        try:
            yield connection
        finally:
            connection.close()

    def _must_be_current(self, connection: sqlite3.Connection) -> None:
        found = format_of(connection, self._path)
        if found == 1:
            raise ArtefactError(f"{self._path} has format 1 of the log; open it for writing once, which migrates it")

    def _read(self, end: State, written: int, start: int, stop: int | None, marks_from: int) -> Iterator[Entry | Mark]:
        newest = self._newest
        if newest and after(newest[-1]) == end and _begins_within(newest, start, marks_from):
            # The very bytes that were committed: the learner need not ask the disk for what it has just written.
            for record in newest:
                if record.at >= start and (stop is None or record.at < stop) and not _seen(record, marks_from):
                    yield opened(record)
            return
        with self._reading() as connection:
            first = place_of(connection, self._path, start, end.records)
            last = end.records if stop is None else place_of(connection, self._path, stop, end.records)
            for record in records(connection, self._path, first, last, written):
                if not _seen(record, marks_from):
                    yield opened(record)

    def _writable(self) -> sqlite3.Connection:
        """The connection, made anew after a failure. Raises StorageError where there can be none."""
        if self._read_only:
            raise StorageError(f"{self._path} was opened for reading; open it without read_only to write")
        if self._connection is None:
            raise StorageError(f"{self._path} was closed; open it again")
        if self._doubtful:
            self._recover()
        return self._connection

    def _recover(self) -> None:
        """After a failed commit, ask the file itself what it holds. It may have got more than it admitted."""
        assert self._connection is not None
        self._connection.close()
        self._connection = self._connect()
        found = last_state(self._connection, self._path)
        known = self._state
        if found.records < known.records or state_before(self._connection, self._path, known.records) != known:
            raise TamperedArtefact(f"{self._path} lost events before offset {known.events}; restore it from a copy")
        for _ in records(self._connection, self._path, known.records, found.records, self._written):
            pass  # each is checked as it comes
        self._state, self._doubtful = found, False
        logger.warning("%s takes events again, from offset %d on", self._path, found.events)

    def _commit(self, requests: Sequence[planning.Request]) -> Sequence[Receipt | Mark]:
        connection = self._writable()

        def known(ids: Sequence[str]) -> Mapping[str, bytes]:
            return known_ids(connection, self._path, ids)

        plan = planning.plan(self._state, requests, known)
        if plan.records:
            with self._all_or_nothing(connection):
                write_records(connection, plan.records)
                write_ids(connection, plan.index)
            self._state, self._newest = plan.state, plan.records if len(plan.records) <= _KEPT else ()
        return plan.answers

    @contextlib.contextmanager
    def _all_or_nothing(self, connection: sqlite3.Connection) -> Iterator[None]:
        """One durable transaction. After a failure nothing is acknowledged before the file was asked again."""
        try:
            with named_sqlite_errors(self._path):
                connection.execute("BEGIN IMMEDIATE")
                yield
                connection.execute("COMMIT")
        except BaseException:
            self._doubtful = True
            with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back by itself
                connection.execute("ROLLBACK")
            raise


def _begins_within(newest: Sequence[Record], start: int, marks_from: int) -> bool:
    """Whether nothing that is to be read stands before these records."""
    return newest[0].at <= start and newest[0].place - newest[0].at <= marks_from


def _seen(record: Record, marks_from: int) -> bool:
    return bool(record.what) and record.place - record.at < marks_from
