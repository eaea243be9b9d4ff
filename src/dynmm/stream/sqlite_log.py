"""The log in one SQLite file, the default: durable, read by many processes, written by one.

Every commit reaches the disk before anybody is told of it (write-ahead log, ``synchronous=FULL``); calls that come
while one is written share the next. Each record's hash covers the record before it and is checked when it is read.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from dynmm.errors import ArtefactError, StorageError
from dynmm.stream.chain import MARK
from dynmm.stream.events import Entry, Event, Mark, Receipt, event_text, mark_text
from dynmm.stream.reading import read_records
from dynmm.stream.sqlite_file import Connection, Tail, WriterLock, named_errors, open_file, read_tail
from dynmm.stream.writing import Batch, write_batch


@dataclass(eq=False)
class _Ticket:
    """A call that waits for its commit."""

    events: Sequence[tuple[Event, str]]
    received: int
    mark: tuple[str, str] | None = None
    answer: Receipt | Mark | None = None
    error: Exception | None = None
    done: bool = field(default=False)


class SqliteLog:
    """See `EventLog`. Made by `open`."""

    def __init__(self, path: Path, connection: Connection, lock: WriterLock | None) -> None:
        self.path, self.read_only = path, lock is None
        self._connection, self._lock = connection, lock
        self._waiting: list[_Ticket] = []
        self._gate, self._writing = threading.Lock(), threading.Lock()
        self._tail = read_tail(connection, path)
        self._fresh = True

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> SqliteLog:
        """Open a log, or begin one. read_only: to read alone, while another process may write.

        Raises StorageError where another process writes to it or the disk refuses, ArtefactError where there is none
        to read, NewerArtefact for a later format, and TamperedArtefact where its end is not what was written.
        """
        lock = None if read_only else WriterLock(path)
        try:
            return cls(path, open_file(path, read_only=read_only), lock)
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    @property
    def offset(self) -> int:
        """See `EventLog`."""
        return self._now().offset

    @property
    def length(self) -> int:
        """See `EventLog`."""
        return self._now().length

    @property
    def head(self) -> str:
        """See `EventLog`."""
        return self._now().head.hex()

    def head_at(self, length: int) -> str | None:
        """See `EventLog`."""
        with self._writing, named_errors(self.path, "read"):
            return self._connection.head_at(length)

    def append(self, events: Sequence[Event], *, received: int | None = None) -> Receipt:
        """See `EventLog`."""
        for event in events:
            event.check()
        moment = time.time_ns() // 1_000_000 if received is None else received
        answer = self._write(_Ticket([(event, event_text(event)) for event in events], moment))
        assert isinstance(answer, Receipt)
        return answer

    def mark(self, kind: str, payload: Mapping[str, Any]) -> Mark:
        """See `EventLog`."""
        answer = self._write(_Ticket((), 0, (kind, mark_text(kind, payload))))
        assert isinstance(answer, Mark)
        return answer

    def read(self, start: int = 0, stop: int | None = None, *, marks_from: int = 0) -> Iterator[Entry | Mark]:
        """See `EventLog`. Readers have connections of their own and stop nobody from writing."""
        return read_records(self.path, start, stop, marks_from)

    def verify(self) -> str:
        """Read every record and the file's own structure; returns the head. Raises TamperedArtefact."""
        with self._writing:
            self._connection.check_structure(self.path)
        for _ in self.read():
            pass
        return self.head

    def close(self) -> None:
        """See `EventLog`."""
        with self._writing:
            self._connection.close()
            if self._lock is not None:
                self._lock.release()

    def __enter__(self) -> SqliteLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _now(self) -> Tail:
        """The end of the log; for a reader, as it is now."""
        if self.read_only:
            with self._writing:
                self._tail = read_tail(self._connection, self.path)
        return self._tail

    def _write(self, ticket: _Ticket) -> Receipt | Mark:
        if self.read_only:
            raise StorageError(f"{self.path} was opened to be read alone; open it for writing")
        with self._gate:
            self._waiting.append(ticket)
        # Whoever comes first writes for all who wait.
        with self._writing:
            if not ticket.done:
                with self._gate:
                    tickets, self._waiting = self._waiting, []
                self._commit(tickets)
        if ticket.error is not None:
            raise ticket.error
        assert ticket.answer is not None, "a ticket without an error has an answer"
        return ticket.answer

    def _commit(self, tickets: Sequence[_Ticket]) -> None:
        try:
            if not self._fresh:
                # A commit failed: what of it is in the file is known only by looking.
                self._connection.reopen()
                self._tail, self._fresh = read_tail(self._connection, self.path), True
            batch = Batch(self._tail)
            with named_errors(self.path, "written"), self._connection.transaction() as cursor:
                answers = [_written(cursor, batch, one) for one in tickets]
            self._tail = batch.tail
            for ticket, answer in zip(tickets, answers, strict=True):
                ticket.answer = answer
        except (StorageError, ArtefactError) as error:
            self._fresh = False
            for ticket in tickets:
                ticket.error = error
        finally:
            for ticket in tickets:
                ticket.done = True


def _written(cursor: sqlite3.Cursor, batch: Batch, ticket: _Ticket) -> Receipt | Mark:
    if ticket.mark is None:
        return write_batch(cursor, batch, ticket.events, ticket.received)
    kind, body = ticket.mark
    number = batch.tail.marks
    batch.add(MARK, None, 0, body)
    batch.flush(cursor)
    return Mark(batch.tail.offset, number, kind, json.loads(body)["payload"])
