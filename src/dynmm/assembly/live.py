"""A recommender that follows its log: what comes in is durable first and counted then, one replayable step at a time.

Nothing here asks a clock but to note when an event came in. So a replay of the log is the same run: what is counted,
held, admitted and rolled back follows from its records alone.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynmm.adapter.drift import Verdict
from dynmm.artefact import MANIFEST, MODEL
from dynmm.assembly.arrivals import Arrival, arrival_folder, read_arrivals
from dynmm.assembly.waiting import Waiting
from dynmm.assembly.whole import whole_of
from dynmm.config import Config, DataSettings
from dynmm.errors import ArtefactError, DynmmError, StorageError, UnsupportedByData, first_cause
from dynmm.interactions.fields import ITEM
from dynmm.recommender import Recommender
from dynmm.storage import sweep
from dynmm.stream.events import Entry, Event, Mark
from dynmm.stream.memory import MemoryLog
from dynmm.stream.settings import StreamSettings
from dynmm.threads import one_thread

if TYPE_CHECKING:
    from dynmm.stream.protocol import EventLog

logger = logging.getLogger(__name__)

#: Kinds of marks. Those of boundaries are written behind the events they followed from, and prove a replay.
ITEMS, ROLLBACK, BOUNDARY = "items", "rollback", "boundary"

#: The log of a run in its `state/`, and the snapshots of what was learned.
LOG_FILE, SNAPSHOTS_DIR = "events.sqlite", "snapshots"

#: Why a recommender is not what its log says, and what holds there.
LEARNING_STOPPED = (
    "learning broke off in the middle, so what is counted here is not what the log says. Nothing is lost: the log has "
    "every event that was acknowledged. Open the run again"
)
DELETION_STOPPED = (
    "a deletion was stopped, so what is known here may not stand in the run any more, and nothing of it is told or "
    "written. Open the run again; where it still knows the user, forget them again"
)


@dataclass(eq=False)
class Live:
    """How far a recommender has read its log.

    log: what it reads. home: the `state/` that the log lies in, None where it is in memory; writes: whether it holds
    the pen there. fixed: it shows an earlier moment and takes nothing in. offset, marks: entries and marks read. held:
    events that wait for their items. arrivals: in the order of their marks, as far as they were needed; admitted: how
    many are known. boundaries: ends of windows that stand in the log. late_clocks: events whose time was bounded.
    let_go: events that waited for their items and do so no more, see `StreamSettings.most_held`. data: the filters of
    the fit, once they were needed; passed_over: events that these leave out, since this object was made.
    snapshot: the offset of the newest one; refused: where the disk last refused one. seen: an offset of the log and its
    head there, from before what was read last; None for a log that nobody else can write. sealed: digest of what says
    which model and which data of the fit this is, None in memory. unsure: events that the log refused last, which it
    may hold all the same. broken: what to say since reading on, or a deletion, ended in the middle, else None. closed:
    it let go of the log on a disk, which others may write by now.
    """

    log: EventLog
    settings: StreamSettings
    home: Path | None = None
    fixed: bool = False
    writes: bool = False
    offset: int = 0
    marks: int = 0
    held: list[Entry] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    admitted: int = 0
    boundaries: int = 0
    late_clocks: int = 0
    let_go: int = 0
    data: DataSettings | None = None
    passed_over: int = 0
    snapshot: int = 0
    refused: int = 0
    seen: tuple[int, str] | None = None
    sealed: str | None = None
    unsure: list[Event] = field(default_factory=list)
    broken: str | None = None
    closed: bool = False


def live_of(recommender: Recommender) -> Live:
    """Where a recommender stands in its log; one in memory where it has none yet."""
    if recommender.live is None:
        recommender.live = Live(MemoryLog(), stream_settings(recommender))
    return recommender.live


def stream_settings(recommender: Recommender) -> StreamSettings:
    """The configured ones; the defaults where the recommender was not fitted here."""
    return Config.of(recommender.facts.get("config")).stream


def writable(recommender: Recommender) -> Live:
    """Its place in a log that takes events.

    Raises UnsupportedByData for one that shows an earlier moment, StorageError for one that was closed, and DynmmError
    for one that is not what its log says.
    """
    live = live_of(recommender)
    check_sound(live)
    if live.closed:
        raise StorageError(f"the run in {live.home} was closed; open it again")
    if live.fixed:
        raise UnsupportedByData(
            f"this is the run as of an earlier moment, offset {live.offset:,} of its log: it can be looked at, and "
            "learns nothing; open the run without as_of"
        )
    if live.home is not None and not live.writes:
        # So far it was read beside whoever else writes; a run without a log had one in memory.
        from dynmm.stream.sqlite_log import SqliteLog

        log = SqliteLog(live.home / LOG_FILE)
        try:
            check_same(live, log)
            sweep(live.home)  # what a deletion left that was ended in the middle
        except BaseException:
            log.close()  # or nobody could write until this process ends
            raise
        live.log.close()
        live.log, live.writes = log, True
        follow(recommender)
    return live


def check_same(live: Live, log: EventLog, *read: tuple[int, str]) -> None:
    """Raises DynmmError where a run on the disk, whose log this is now, is not the one that was opened.

    read: offsets and heads of that log, as of what was read of it since.
    """
    places = read if live.seen is None else (live.seen, *read)
    assert live.home is not None, "only what lies on a disk can be written by others"
    # A deletion of who has no event in the log leaves the log, and not the data of the fit, as it was.
    if sealed_in(live.home) != live.sealed or not all(log.holds(*one) for one in places):
        raise DynmmError(
            f"the run in {live.home} was written anew since this run was opened, as a deletion does it; what was "
            "read then does not hold any more. Open the run again"
        )


def sealed_in(home: Path) -> str:
    """See `sealed_by`, of the manifests that lie there now. Raises StorageError."""
    found = []
    for manifest in (home.parent / MODEL / MANIFEST, home / MANIFEST):
        try:
            found.append(manifest.read_bytes())
        except OSError as error:
            raise StorageError(f"{manifest} cannot be read: {error.strerror}; restore the run from a copy") from error
    return sealed_by(*found)


def sealed_by(model: bytes, state: bytes) -> str:
    """Hex, of the manifests of the model and of the data of its fit: another run, or one without somebody, differs."""
    return hashlib.sha256(model + state).hexdigest()


def check_sound(live: Live) -> None:
    """Raises DynmmError where events of the log were counted in part, or a deletion was stopped."""
    if live.broken is not None:
        raise DynmmError(live.broken)


def follow(recommender: Recommender, until: int | None = None) -> None:
    """Read on in the log to its end, or to where one more than `until` events since the fit would count.

    Marks behind the last of these events are read, too: what they say holds at that offset. Items that came then are
    known, while events that waited for them and would be too many wait on.

    What ends it in the middle, an interrupt included, leaves a recommender that learns and saves no more. With one
    thread, so that the same log gives the same bits however many processors there are.
    """
    live = live_of(recommender)
    check_sound(live)
    try:
        with one_thread():
            _read_on(recommender, live, until)
    except BaseException:
        live.broken = LEARNING_STOPPED
        raise
    _write_boundaries(recommender)


def _read_on(recommender: Recommender, live: Live, until: int | None) -> None:
    waiting = Waiting(recommender, live, until)
    _foretell(recommender)
    for record in _unread(live):
        if isinstance(record, Mark):
            waiting.count()
            if not _heed(recommender, record, waiting):
                break
            live.marks = max(live.marks, record.number + 1)
        elif waiting.take(record):
            live.offset = record.offset + 1
        else:
            break
    waiting.count()


def _foretell(recommender: Recommender) -> None:
    """Let the adapter know what the log says of the length of its windows: marks stand behind what they decide."""
    live, windows = live_of(recommender), whole_of(recommender).windows
    if windows is None or live.log.marks == live.marks:
        return
    marks = [one.payload for one in _unread(live) if isinstance(one, Mark) and one.kind == BOUNDARY]
    # Marks of an earlier version have no verdict: then the replay comes to its own.
    windows.drift.told |= {int(one["number"]): Verdict(*one["drift"]) for one in marks if one.get("drift") is not None}


def _unread(live: Live) -> Iterator[Entry | Mark]:
    return live.log.read(live.offset, marks_from=live.marks)


def _heed(recommender: Recommender, mark: Mark, waiting: Waiting) -> bool:
    """Do what a mark says. False where not all events that it lets go may count."""
    live = live_of(recommender)
    if mark.kind == ITEMS:
        admit(recommender, int(mark.payload["number"]))
        held, live.held = live.held, []
        beyond = [entry for entry in held if not waiting.take(entry)]
        live.held = sorted([*live.held, *beyond], key=lambda entry: entry.offset)
        waiting.count()
        return not beyond
    elif mark.kind == ROLLBACK:
        # After a deletion the log gives other versions: then the newest that is not newer than the one named.
        whole = whole_of(recommender)
        whole.roll_back(max(one for one in whole.versions if one <= int(mark.payload["version"])))
    elif mark.kind == BOUNDARY:
        _prove(recommender, mark)
    else:
        logger.warning(
            "the log holds a mark of a kind that this version does not know, %r: it is passed over", mark.kind
        )
    return True


def admit(recommender: Recommender, number: int) -> None:
    """Make items known that have arrived. Raises ArtefactError, TamperedArtefact."""
    live = live_of(recommender)
    arrival = _arrivals_to(live, number + 1)[number]
    known = [one for one in arrival.table[ITEM].to_list() if one in recommender.items]
    if known and live.home is not None:
        # Two processes could do that in an early version: what came behind it has the contents of others.
        raise ArtefactError(
            f"the run holds the item {known[0]!r} twice: {arrival_folder(live.home, number)} tells of it, and it "
            "was known before. An early version let that happen, and what came later has the contents of other items; "
            "restore the run from a copy of before, or fit again"
        )
    with one_thread():
        recommender.admit(arrival.table, whole_of(recommender).with_items(arrival.features, arrival.table))
    live.admitted += 1


def _arrivals_to(live: Live, count: int) -> list[Arrival]:
    """The first so many, of which the log has told by now. Raises ArtefactError, TamperedArtefact."""
    if count > len(live.arrivals):
        assert live.home is not None, "what was told of in memory is known"
        live.arrivals += read_arrivals(live.home, len(live.arrivals), count)
    return live.arrivals[:count]


def _write_boundaries(recommender: Recommender) -> None:
    """Write down the ends of windows that were met and are not in the log yet: a replay must meet the same.

    Where the disk refuses, that is logged, and they are written with what comes next: the events that ended them are in
    the log already, and are not to be told again.
    """
    live, windows = live_of(recommender), whole_of(recommender).windows
    if windows is None or live.fixed or (live.home is not None and not live.writes):
        return
    for told in unwritten_boundaries(recommender):
        number = told["number"]
        try:
            mark = live.log.mark(BOUNDARY, told)
        except StorageError as error:
            # What SQLite says, not its mend: that is for whoever sends events, and these are there.
            logger.warning(
                "the end of window %d is not in the log yet, and is written later. The events that ended it are there, "
                "so nothing is to be sent again; free some space or check the disk: %s",
                number,
                first_cause(error),
            )
            return
        del windows.unsettled[number]
        live.boundaries = number + 1
        if mark.number == live.marks:
            live.marks += 1


def unwritten_boundaries(recommender: Recommender) -> list[dict[str, Any]]:
    """What marks are to say of the ends of windows that were met and do not stand in the log, as far as it was read."""
    live, windows = live_of(recommender), whole_of(recommender).windows
    if windows is None:
        return []
    met = [(number, *windows.unsettled[number]) for number in range(live.boundaries, windows.ended)]
    return [{"number": number, "counted": counted, "drift": verdict} for number, counted, verdict in met]


def _prove(recommender: Recommender, mark: Mark) -> None:
    """Hold a boundary that was written against the one that this replay has met. Raises ArtefactError."""
    number, live, windows = int(mark.payload["number"]), live_of(recommender), whole_of(recommender).windows
    if number < live.boundaries:
        return  # It was held against this one before, or written here.
    wanted, found = int(mark.payload["counted"]), None if windows is None else windows.unsettled.pop(number, None)
    if found is None or found.counted != wanted:
        here = "not yet" if found is None else f"after {found.counted:,}"
        raise ArtefactError(
            f"window {number} of the log ended after {wanted:,} events, and in this replay {here}: another version or "
            "configuration wrote it. Open the run with that one, or fit again"
        )
    live.boundaries = number + 1


def roll_back(recommender: Recommender, version: int) -> None:
    """See `Recommender.rollback`."""
    with recommender.lock:
        live = writable(recommender)  # which may put another system in place: others may have added items
        whole_of(recommender).check_version(version)
        live.log.mark(ROLLBACK, {"version": version})
        follow(recommender)
