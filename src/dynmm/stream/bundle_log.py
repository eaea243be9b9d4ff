"""A log on a server: chained records in bundles, and in memory the ids and where each bundle begins."""

from __future__ import annotations

import bisect
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from dynmm.errors import StorageError
from dynmm.stream import planning
from dynmm.stream.bundles import Bundles, Moved, RewritableBundles, Version, packed, unpacked
from dynmm.stream.canonical import event_of, fingerprint, id_of
from dynmm.stream.chain import EVENT, MARK, Record, State, chained, opened
from dynmm.stream.events import Entry, Event, Forgotten, Mark, Receipt
from dynmm.stream.group_commit import GroupCommit

logger = logging.getLogger(__name__)

_ATTEMPTS = 20


class BundleLog:
    """An `EventLog` over any sequence of byte strings that can be added to on a condition.

    Opening reads and checks all of it; the ids stay in memory, about 150 bytes for each event, because no
    server's own memory of ids reaches back for ever. `offset` and `head` are what this client last saw; `read`
    asks the server first. Events of one call that does not fit into one message of the server may be taken
    in part where the server fails between messages: sent again, those are duplicates.
    """

    def __init__(self, bundles: Bundles, name: str) -> None:
        self._bundles = bundles
        self._name = name
        self._closed = False
        self._doubtful = False
        self._group: GroupCommit[planning.Request, Receipt | Mark] = GroupCommit(self._commit)
        self._reset("")
        try:
            self._refresh()
        except BaseException:
            bundles.close()
            raise

    @property
    def offset(self) -> int:
        """How many events there are."""
        return self._state.events

    @property
    def marks(self) -> int:
        """How many marks there are."""
        return self._state.marks

    @property
    def head(self) -> str:
        """Hex of the chain over all records."""
        return self._state.head

    def append(self, events: Sequence[Event], *, received: int | None = None) -> Receipt:
        """See `EventLog.append`."""
        return cast(Receipt, self._group.submit(planning.of_events(events, received)))

    def mark(self, kind: str, payload: Mapping[str, Any]) -> Mark:
        """See `EventLog.mark`."""
        return cast(Mark, self._group.submit(planning.of_mark(kind, payload)))

    def read(self, start: int = 0, stop: int | None = None, *, marks_from: int = 0) -> Iterator[Entry | Mark]:
        """See `EventLog.read`."""
        with self._group.alone():
            self._must_be_open()
            self._refresh()
            end, generation, starts = self._state, self._generation, self._starts
        return self._read(end, generation, starts, start, stop, marks_from)

    def holds(self, offset: int, head: str) -> bool:
        """See `EventLog.holds`."""
        if (offset, head) == (0, State().head):
            return True
        with self._group.alone():
            self._must_be_open()
            self._refresh()
            end, generation, starts = self._state, self._generation, self._starts
        if not 0 <= offset <= end.events:
            return False
        first = max(bisect.bisect_left(starts, offset, key=_events) - 1, 0)
        for _, state in self._records(end, generation, starts, first):
            if state.events > offset:
                return False
            if (state.events, state.head) == (offset, head):
                return True
        return False

    def close(self) -> None:
        """Give back the connection. May be called again."""
        with self._group.alone():
            self._closed = True
            self._bundles.close()

    def _reset(self, generation: str) -> None:
        self._generation = generation
        self._state = State()
        #: Where the log stood before each bundle. A new list after a rewrite; within a generation it only grows.
        self._starts: list[State] = []
        self._ids: dict[str, bytes] = {}

    def _must_be_open(self) -> None:
        if self._closed:
            raise StorageError(f"{self._name} was closed; open it again")

    def _refresh(self) -> None:
        """Learn what others added, or all anew where the log was rewritten."""
        for _ in range(_ATTEMPTS):
            version = self._bundles.version()
            if version.generation != self._generation or version.length < len(self._starts):
                self._reset(version.generation)
            try:
                for bundle in self._bundles.read(len(self._starts), version.length, version.generation):
                    self._learn(bundle)
            except Moved:
                continue
            self._doubtful = False
            return
        raise StorageError(f"{self._name} is rewritten again and again; try again later")

    def _learn(self, bundle: bytes) -> None:
        learned = list(unpacked(self._state, bundle, self._name))
        self._ids.update(
            (id_of(record.body), fingerprint(record.body)) for record, _ in learned if record.what == EVENT
        )
        self._starts.append(self._state)
        self._state = learned[-1][1]

    def _read(
        self, end: State, generation: str, starts: list[State], start: int, stop: int | None, marks_from: int
    ) -> Iterator[Entry | Mark]:
        first = max(bisect.bisect_left(starts, start, key=_events) - 1, 0)
        for record, _ in self._records(end, generation, starts, first):
            if stop is not None and record.at >= stop:
                return
            seen = record.what == MARK and record.place - record.at < marks_from
            if record.at >= start and not seen:
                yield opened(record)

    def _records(self, end: State, generation: str, starts: list[State], first: int) -> Iterator[tuple[Record, State]]:
        """Checked records of the bundles from `first` on, up to a state that was known."""
        last = bisect.bisect_left(starts, end.records, key=lambda state: state.records)
        if first >= last:
            return
        state = starts[first]
        try:
            for bundle in self._bundles.read(first, last, generation):
                for record, behind in unpacked(state, bundle, self._name):
                    state = behind
                    yield record, behind
        except Moved as error:
            raise StorageError(f"{self._name} was rewritten while it was read; read it again") from error

    def _commit(self, requests: Sequence[planning.Request]) -> Sequence[Receipt | Mark]:
        self._must_be_open()
        for _ in range(_ATTEMPTS):
            if self._doubtful:
                self._refresh()
            plan = planning.plan(self._state, requests, self._known)
            if not plan.records and self._bundles.version() != self._version():
                self._refresh()  # what looks like a duplicate may have been taken out since
                continue
            parts = packed(plan.records, self._bundles.largest)
            begun = len(self._starts)
            try:
                for bundle, _ in parts:
                    self._add(bundle)
            except Moved:
                if len(self._starts) > begun:
                    raise StorageError(
                        f"{self._name}: another writer came between the parts of an append; send the events again"
                    ) from None
                self._refresh()
                continue
            return plan.answers
        raise StorageError(f"{self._name}: other writers were always faster; send the events again")

    def _version(self) -> Version:
        return Version(self._generation, len(self._starts))

    def _known(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        return {one: self._ids[one] for one in ids if one in self._ids}

    def _add(self, bundle: bytes) -> None:
        # Until the server has said yes, it may have taken the bundle or not: it is asked before the next one.
        self._doubtful = True
        self._bundles.add(self._version(), bundle)
        self._learn(bundle)  # with its ids, whatever becomes of the next
        self._doubtful = False


class ForgettingBundleLog(BundleLog):
    """A `BundleLog` over a sequence that can be exchanged, and so one that can forget."""

    def __init__(self, bundles: RewritableBundles, name: str) -> None:
        self._rewritable = bundles
        super().__init__(bundles, name)

    def forget(self, user: str) -> Forgotten:
        """Take a user's events out, so that the log equals one that was never given them.

        It is written anew beside the old one, which it replaces in one step. It does not reach: what marks say
        in their payload, snapshots, backups and replicas that lag, and the server's own files until it rewrites
        them (`BGREWRITEAOF` in Redis). Raises StorageError.
        """
        with self._group.alone():
            self._must_be_open()
            for _ in range(_ATTEMPTS):
                self._refresh()
                old = self._state
                kept, new = self._without(user)
                bundles = [bundle for bundle, _ in packed(kept, self._bundles.largest)]
                try:
                    self._rewritable.replace(self._version(), bundles)
                except Moved:
                    continue
                self._refresh()
                gone = old.events - new.events
                return Forgotten(user, gone, new.marks, old.events, new.events, old.head, new.head)
        raise StorageError(f"{self._name}: other writers were always faster; call forget again")

    def _without(self, user: str) -> tuple[list[Record], State]:
        kept: list[Record] = []
        new = State()
        for record, _ in self._records(self._state, self._generation, self._starts, 0):
            if record.what == MARK or event_of(record.body).user != user:
                moved, new = chained(new, record.what, record.received, record.body)
                kept.append(moved)
        return kept, new


def _events(state: State) -> int:
    return state.events
