"""Deletion: what a user did leaves everything that moves, which then is as if the log had never had them."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from dynmm.artefact import CANDIDATES, MOVING, seal
from dynmm.assembly.arrivals import write_arrival
from dynmm.assembly.books import Books, counted_in
from dynmm.assembly.evidencing import items_of
from dynmm.assembly.live import BOUNDARY, DELETION_STOPPED, LOG_FILE, Live, follow, sealed_in, writable
from dynmm.assembly.logkeeping import try_snapshot
from dynmm.assembly.snapshotting import live_sha256
from dynmm.assembly.whole import Stopped, Whole, known_events, set_moving, whole_of
from dynmm.config import Config
from dynmm.errors import StorageError, UnknownIdError, UnsupportedByData
from dynmm.evidence.neighbours import NeighbourTerms
from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.score import EvidenceScore
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits import Split, without_user
from dynmm.interactions.vocabulary import OpenVocabulary
from dynmm.recommender import Recommender
from dynmm.runfiles import write_events
from dynmm.storage import named_disk_errors, new_folder, sweep
from dynmm.stream.copying import copy_records
from dynmm.stream.events import Entry
from dynmm.stream.memory import MemoryLog
from dynmm.stream.protocol import EventLog
from dynmm.stream.sqlite_log import SqliteLog

COVERS = (
    "events in the log, those of held items too, and the log's chain, which was made anew",
    "events of the fit that are kept with the run, and the user's id",
    "statistics of pairs, items and trends that rank and explain, counted anew",
    "histories, window summaries, the adapter with its optimizer, replay buffer and versions, learned anew",
    "snapshots of earlier states, which are gone, and the file of candidates of sampled evaluation",
    "vectors and prefixes of users in the memory of this process",
)
NOT_COVERED = (
    "weights of the frozen parts (backbone, joint stage, weights of facts, re-rankers): they forget with the next fit",
    "sums over pairs and counts of items in model/, which name nobody and neither rank nor explain in this run now",
    "the data set that the run was fitted to, copies and backups of the run, and what was shown or sent to others",
    "blocks of the disk that the old files lay in, until the system writes over them",
)


def forget_user(recommender: Recommender, user: str) -> dict[str, Any]:
    """See `Recommender.forget`. Raises UnknownIdError, StorageError, and UnsupportedByData for a published model."""
    with recommender.lock:
        try:
            return _forget(recommender, user)
        except BaseException:
            if recommender.live is not None and recommender.live.broken == DELETION_STOPPED:
                nothing = Stopped(DELETION_STOPPED)
                vars(recommender).update(system=nothing, _histories=nothing, users=OpenVocabulary(()))
            raise


def _forget(recommender: Recommender, user: str) -> dict[str, Any]:
    if recommender.split is None:
        raise UnsupportedByData("a published model knows no user, so there is nobody to forget")
    live, fitted = writable(recommender), user in recommender.known.users
    before = {"offset": live.log.offset, "head": live.log.head}
    split = without_user(recommender.split, user) if fitted else recommender.split
    gone = len(recommender.split.source.events) - len(split.source.events)
    forgotten = recommender.forgotten + int(fitted)
    home = live.home
    if user not in recommender.users and not _stands_in(live.log, user):
        raise UnknownIdError(f"unknown user {user!r}: this run knows {len(recommender.users):,} users, and not them")
    log, removed = _log_without(live, user, split, forgotten, recommender.facts)
    try:
        rebuilt = Recommender(_refreshed(recommender, split), known_events(split), recommender.facts, split)
        rebuilt.forgotten, rebuilt.lock = forgotten, recommender.lock
        rebuilt.live = Live(log, live.settings, home, writes=home is not None, arrivals=live.arrivals)
        rebuilt.live.sealed = None if home is None else sealed_in(home)
        set_moving(rebuilt)
        follow(rebuilt)
    except BaseException:
        log.close()  # so that the run can be opened again
        raise
    former = whole_of(recommender)
    vars(recommender).update(vars(rebuilt))
    former.clear()  # whoever still holds it
    if home is not None:
        try_snapshot(recommender)  # the deletion is done, and the certificate says so
    return {
        "user": user,
        "deleted": {"events in the log": removed, "events of the fit": gone},
        "log": {"before": before, "after": {"offset": log.offset, "head": log.head}},
        "state_sha256": live_sha256(recommender),
        "covers": list(COVERS),
        "not_covered": list(NOT_COVERED),
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _stands_in(log: EventLog, user: str) -> bool:
    """Whether the log has an event of a user of whom nothing counts: they wait, or the filters of the fit pass over."""
    return any(isinstance(one, Entry) and one.event.user == user for one in log.read())


def _log_without(live: Live, user: str, split: Split, forgotten: int, facts: Any) -> tuple[EventLog, int]:
    """A log that never had the user, in the place of the old one; and how many events it has less."""
    if live.home is None:
        smaller = MemoryLog()
        return smaller, copy_records(live.log, smaller, without=user, leave_out=(BOUNDARY,))
    if os.path.ismount(live.home):
        raise StorageError(
            f"{live.home} is a file system of its own, and a deletion puts another folder in its place: mount the "
            f"folder of the run, {live.home.parent}, instead"
        )
    # The log, the data and their manifest change places with the old ones in one step.
    with contextlib.ExitStack() as exchanged, new_folder(live.home) as beside:
        write_events(beside, split.source, split.parts)
        seal(beside, {"data_sha256": facts["data"]["sha256"], "forgotten": forgotten}, moving=MOVING)
        for number, arrival in enumerate(live.arrivals):
            write_arrival(arrival, beside, number)
        with SqliteLog(beside / LOG_FILE) as log:
            removed = copy_records(live.log, log, without=user, leave_out=(BOUNDARY,))
        # Before the exchange, behind which nobody would know that they name them.
        _remove(live.home.parent / CANDIDATES)
        # What stops it from here on leaves a recommender that knows the user, and must write nothing that does.
        live.broken = DELETION_STOPPED
        assert isinstance(live.log, SqliteLog), "the log of a run on a disk is a file"
        exchanged.enter_context(live.log.put_away())
    sweep(live.home)  # the old log, where it could not be removed at once: a deletion that fails to delete must say so
    return SqliteLog(live.home / LOG_FILE), removed


def _remove(folder: Path) -> None:
    with named_disk_errors(folder):
        if folder.is_dir():
            shutil.rmtree(folder)


def _refreshed(recommender: Recommender, split: Split) -> Whole:
    """The stages as fitted, with statistics that count the events of the split alone."""
    # What is asked while all is counted anew may be about the user, and goes with the former stages.
    whole = whole_of(recommender).as_fitted().afresh()
    counted = replace(counted_in(split), validation=None)
    fresh = whole.with_books(Books(counted))
    if fresh.evidence is not None:
        fresh.equip(_recounted(fresh.evidence, counted, Config.of(recommender.facts["config"])))
    return fresh


def _recounted(evidence: EvidenceScore, counted: Dataset, config: Config) -> EvidenceScore:
    settings = config.evidence
    pairs = PairStatistics.of(counted, settings.pairs)
    items = items_of(counted, settings)
    terms = replace(evidence.terms, pairs=pairs, items=items)
    if isinstance(terms, NeighbourTerms):
        # Neighbours are those of the fit, and must not remember who was in it.
        terms = terms.anew(settings.neighbours)
    return replace(evidence, terms=terms)
