"""The log of a run on disk: opened, read up to a moment, copied with the run, and made short to read by snapshots."""

from __future__ import annotations

import logging
from numbers import Integral
from pathlib import Path

from dynmm.assembly.arrivals import read_arrivals, write_arrival
from dynmm.assembly.live import (
    BOUNDARY,
    ITEMS,
    LOG_FILE,
    SNAPSHOTS_DIR,
    Live,
    check_same,
    check_sound,
    follow,
    live_of,
    stream_settings,
    unwritten_boundaries,
)
from dynmm.assembly.snapshotting import counted_at, read_live, write_live
from dynmm.errors import ArtefactError, DataError, StorageError, TamperedArtefact, UnsupportedByData
from dynmm.recommender import Recommender
from dynmm.stream.copying import copy_records
from dynmm.stream.events import Mark
from dynmm.stream.memory import MemoryLog
from dynmm.stream.protocol import EventLog
from dynmm.stream.snapshots import MANIFEST, Snapshot, SnapshotStore
from dynmm.stream.sqlite_log import SqliteLog

logger = logging.getLogger(__name__)


def write_log(recommender: Recommender, state: Path) -> None:
    """Write a recommender's log, and what is known of the items that came, into a new `state/`.

    Of a run as of an earlier moment, the log up to there: the copy is that run, and may go on from there. Raises
    StorageError, DynmmError where the recommender is not what its log says, and UnsupportedByData for a moment that
    no log ends at.
    """
    live = live_of(recommender)
    check_sound(live)
    if live.fixed:
        _check_end(recommender, live)
    shared = None if live.writes else live.home  # where others may write meanwhile
    source = live.log
    if shared is not None:
        if (shared / LOG_FILE).is_file():  # which may have come since the run was opened
            source = SqliteLog(shared / LOG_FILE, read_only=True)
        check_same(live, source)
    with SqliteLog(state / LOG_FILE) as log:
        copy_records(source, log, most=live.offset + live.marks if live.fixed else None)
        # Behind the log, which tells of no item that is not there by then.
        arrivals = live.arrivals if shared is None else read_arrivals(shared, 0, _arrived(log))
        for number, arrival in enumerate(arrivals):
            write_arrival(arrival, state, number)
        if shared is not None:
            check_same(live, source, (log.offset, log.head))  # what was copied before a deletion has who is gone
        if live.fixed:
            # Those that stand behind this moment in the source: without them windows may end elsewhere.
            for mark in unwritten_boundaries(recommender):
                log.mark(BOUNDARY, mark)
        # Where another process has written on since, the copy has no snapshot, and reads on when it is opened.
        elif (log.offset, log.marks) == (live.offset, live.marks):
            _put(recommender, SnapshotStore(state / SNAPSHOTS_DIR, keep=live.settings.snapshots), log)


def _check_end(recommender: Recommender, live: Live) -> None:
    """Raises UnsupportedByData where items have come, and events that waited for them wait on: a log cannot say so."""
    if any(one.event.item in recommender.items for one in live.held):
        raise UnsupportedByData(
            f"offset {recommender.offset:,} lies among events that had waited for an item and were counted together "
            "when it came, so no log ends there; save the run as of an offset before or behind them"
        )


def _arrived(log: EventLog) -> int:
    """How many times the log tells of items that came."""
    told = [int(one.payload["number"]) for one in log.read() if isinstance(one, Mark) and one.kind == ITEMS]
    return max(told, default=-1) + 1


def read_log(recommender: Recommender, state: Path, as_of: int | None, sealed: str) -> None:
    """Let a freshly loaded recommender follow the log of its run, to its end or as of an offset.

    sealed: see `Live.sealed`, of what was loaded. Raises ArtefactError, TamperedArtefact, and DataError for an offset
    that the log does not have.
    """
    there = (state / LOG_FILE).is_file()
    if not there and any((state / SNAPSHOTS_DIR).glob("*")):
        raise ArtefactError(f"the log of this run is gone: {state / LOG_FILE}; restore it from a copy of the run")
    log = SqliteLog(state / LOG_FILE, read_only=True) if there else MemoryLog()
    live = recommender.live = Live(log, stream_settings(recommender), state, as_of is not None)
    live.sealed = sealed
    first = recommender.offset
    if as_of is not None and not isinstance(as_of, Integral):
        raise DataError(f"as_of is {as_of!r}; give an offset of the log, a whole number as Recommender.offset has it")
    if as_of is not None and as_of < first:
        raise DataError(f"offset {as_of:,} is before the end of the fit, {first:,}, where the log of this run begins")
    until = None if as_of is None else as_of - first
    found = _usable(SnapshotStore(state / SNAPSHOTS_DIR, keep=live.settings.snapshots), live, until) if there else None
    if found is not None:
        _read_snapshot(recommender, found.folder)
    _follow_to_the_end(recommender, live) if until is None else follow(recommender, until)
    if found is not None and not live.log.holds(found.offset, found.head):
        raise written_anew(state)
    if until is not None and recommender.counted < until:
        raise DataError(f"offset {as_of:,} is behind the end of the log, {first + recommender.counted:,}")


def _read_snapshot(recommender: Recommender, folder: Path) -> None:
    try:
        read_live(recommender, folder)
    except ArtefactError as error:
        if (folder / MANIFEST).is_file():  # which goes first where one is removed
            raise
        raise ArtefactError(
            f"a newer one has taken the place of the snapshot {folder} while the run was being opened; open it again"
        ) from error


def written_anew(state: Path) -> ArtefactError:
    """What a run that was written anew while it was read ends in."""
    return ArtefactError(
        f"the run in {state} was written anew while it was being opened, as a deletion does it; open it again"
    )


def _follow_to_the_end(recommender: Recommender, live: Live) -> None:
    """Read what is there, and note the head that it was read to: another process may be writing on."""
    while True:
        place, head = (live.log.offset, live.log.marks), live.log.head
        follow(recommender)
        if (live.offset, live.marks) == place:
            live.seen = live.offset, head
            return
        if live.offset > live.log.offset or live.marks > live.log.marks:
            assert live.home is not None, "a log in memory gets no shorter"
            raise written_anew(live.home)


def _usable(store: SnapshotStore, live: Live, until: int | None) -> Snapshot | None:
    """The newest snapshot that lies on this log, and not behind the moment that is asked for."""
    _must_reach(store, live)
    most = live.log.offset
    while (found := store.newest(most, live.log.holds)) is not None:
        try:
            counted = counted_at(found.folder)
            if until is None or counted <= until:
                return found
        except ArtefactError as error:
            logger.warning("%s", error)
        most = found.offset - 1
    return None


def _must_reach(store: SnapshotStore, live: Live) -> None:
    """Raises TamperedArtefact where a snapshot was made of more events than the log has: those were acknowledged.

    Another process may have written on, or put a log in its place that never had somebody, since either was looked at.
    """
    beyond = store.behind(live.log.offset)
    if beyond is not None and beyond.offset > live.log.offset and (beyond.folder / MANIFEST).is_file():
        raise TamperedArtefact(
            f"the log of {live.home} ends at offset {live.log.offset}, and the snapshot {beyond.folder} was made of "
            f"{beyond.offset} events, so acknowledged events are gone. Restore the run from a copy; or, to go on with "
            "what there is, remove that snapshot"
        )


def snapshot_if_due(recommender: Recommender) -> None:
    """Take a snapshot where enough has been learned since the last."""
    live = live_of(recommender)
    if live.offset - max(live.snapshot, live.refused) >= live.settings.snapshot_every:
        try_snapshot(recommender)


def try_snapshot(recommender: Recommender) -> None:
    """Take a snapshot. Where the disk refuses it, that is logged: what it is of is done, and not to be done again."""
    live = live_of(recommender)
    try:
        take_snapshot(recommender)
    except (StorageError, OSError) as error:
        live.refused = live.offset
        logger.warning(
            "no snapshot was taken, so the run takes longer to open; all that was learned is in the log, and is not to "
            "be learned again. A snapshot is tried %d events on, and when a run that has learned more is closed: %s",
            live.settings.snapshot_every,
            error,
        )


def take_snapshot(recommender: Recommender) -> None:
    """Keep all that moves, beside the log that it follows from. Nothing to do in memory. Raises StorageError."""
    live = live_of(recommender)
    if live.home is None or not live.writes:
        return
    check_sound(live)
    follow(recommender)
    while (live.offset, live.marks) != (live.log.offset, live.log.marks):
        follow(recommender)  # the log held more than it had acknowledged
    _put(recommender, SnapshotStore(live.home / SNAPSHOTS_DIR, keep=live.settings.snapshots), live.log)
    live.snapshot = live.offset


def _put(recommender: Recommender, store: SnapshotStore, log: EventLog) -> None:
    live = live_of(recommender)
    head, place = log.head, (log.offset, log.marks)
    if place == (0, 0):
        return
    assert place == (live.offset, live.marks), "a snapshot is of a log that was read to its end"
    store.put(live.offset, head, lambda folder: write_live(recommender, folder))


def close_live(recommender: Recommender) -> None:
    """See `Recommender.close`. An error here would hide what is done: a certificate, or what was learned."""
    with recommender.lock:
        live = recommender.live
        if live is None:
            return
        try:
            if live.writes and live.broken is None and live.offset > live.snapshot:
                try_snapshot(recommender)
        finally:
            if live.writes:
                live.seen = live.log.offset, live.log.head
            live.writes, live.closed = False, live.home is not None
            live.log.close()
