"""A fitted recommender as a run folder: `model/` to publish, `state/` private."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dynmm.artefact import CANDIDATES, MANIFEST, MODEL, MOVING, STATE, seal
from dynmm.assembly.evidencing import save_evidence
from dynmm.assembly.live import LOG_FILE, Live
from dynmm.assembly.logkeeping import write_log
from dynmm.assembly.rerankkeeping import RERANK_DIR, save_reranked
from dynmm.assembly.voicing import VOICE_DIR, save_voice
from dynmm.assembly.whole import whole_of
from dynmm.card import card
from dynmm.errors import ArtefactError, DataError, DynmmError, StorageError
from dynmm.fusion.keeping import save_joint
from dynmm.interactions.splits import Split
from dynmm.recommender import Recommender
from dynmm.runfiles import write_catalogue, write_events
from dynmm.storage import named_disk_errors, new_folder, write_bytes, write_json
from dynmm.stream.sqlite_log import SqliteLog
from dynmm.stream.writer_lock import WriterLock, lock_of

CONFIG_FILE = "config.json"
BACKBONE_DIR, JOINT_DIR, INDEX_DIR, EVIDENCE_DIR = "backbone", "joint", "index", "evidence"
CARD_FILE = "README.md"
#: What may lie in the folder of a run, and goes when another run replaces it.
_RUN_PARTS = {MODEL, STATE, CANDIDATES, ".DS_Store"}


def check_target(folder: Path, *, overwrite: bool = False) -> None:
    """Refuse, before any work, a folder that a run must not replace or that cannot be made.

    overwrite: what a run there has learned since its fit may go. Raises DataError, and StorageError where another
    process writes to the run that lies there.
    """
    near = next(one for one in folder.absolute().parents if one.exists())
    if not near.is_dir() or not os.access(near, os.W_OK):
        raise StorageError(f"{folder} cannot be made: {near} is not a folder that you may write to; choose another")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / MODEL / MANIFEST).is_file()):
        raise DataError(f"{folder} exists and is not a run; name a new folder, so that nothing of yours is replaced")
    foreign = sorted(set(os.listdir(folder)) - _RUN_PARTS) if folder.is_dir() else []
    if foreign:
        raise DataError(f"{folder / foreign[0]} is no part of the run and would be lost; move it away first")
    if lock_of(folder / STATE / LOG_FILE).is_file():  # else nobody has ever written, and nothing is to be made there
        with _unwritten(folder):
            pass
    if not overwrite:
        _check_unlearned(folder)


def _check_unlearned(folder: Path, own: Live | None = None) -> None:
    """Raises DataError where a run there has events or items that `own` would not write: they lie nowhere else."""
    path = folder / STATE / LOG_FILE
    if not path.is_file():
        return
    how = "name another folder, or say overwrite=True (dynmm fit --overwrite) to give them up"
    try:
        with contextlib.closing(SqliteLog(path, read_only=True)) as there:
            learned, head = there.offset, there.head
            # A run as of an earlier moment has read a part of its log, and writes no more.
            reaches = own is not None and (not own.fixed or learned <= own.offset)
            got = f"learned {learned:,} events" if learned else "got items" if there.marks else None
            kept = got is None or (own is not None and reaches and own.log.holds(learned, head))
    except DynmmError as error:
        raise DataError(f"{folder} has a log of learned events that cannot be read ({error}); {how}") from error
    if not kept:
        raise DataError(f"{folder} has {got} since its fit, which would be gone with it; {how}")


@contextlib.contextmanager
def _unwritten(folder: Path) -> Iterator[None]:
    """Nobody writes to the log of a run that is replaced meanwhile: what they learn would go with it.

    Raises StorageError where somebody does.
    """
    lock = lock_of(folder / STATE / LOG_FILE)
    if not lock.parent.is_dir():
        yield
        return
    try:
        held = WriterLock(lock)
    except StorageError as error:
        raise StorageError(
            f"{folder} is open for writing elsewhere, and what is learned there would be lost ({error}); close it "
            "there first, or name another folder"
        ) from error
    try:
        yield
    finally:
        held.release()


def _check_not_own(recommender: Recommender, folder: Path) -> None:
    """Raises DataError for the run that this recommender is learning into."""
    live = recommender.live
    if live is not None and live.home is not None and live.writes and live.home.resolve() == (folder / STATE).resolve():
        raise DataError(
            f"{folder} is the run that this recommender learns into. It keeps what it learns at once, so there is "
            "nothing to save; name another folder for a copy"
        )


def save(recommender: Recommender, folder: Path, *, overwrite: bool = False) -> None:
    """Write `model/` and, where there are users, `state/`; the whole folder takes its place at once.

    overwrite: also in the place of a run that has learned events which this one does not have. Raises StorageError
    where the disk refuses or another process writes to the run that lies there, DataError where something else lies
    there, a run that has learned, or the one that this recommender learns into, and ArtefactError for a published
    model that has learned: what it learned would be lost.
    """
    with recommender.lock:
        _check_not_own(recommender, folder)
        check_target(folder, overwrite=True)
        if recommender.split is None and (recommender.counted or recommender.added is not None):
            raise ArtefactError(
                "a published model has no state/ in which to keep what it has learned and which items came to it; "
                "do that with the run that it came from"
            )
        with _unwritten(folder):
            if not overwrite:
                _check_unlearned(folder, recommender.live)
            with new_folder(folder) as beside:
                write_model(recommender, beside / MODEL)
                if recommender.split is not None:
                    _write_state(recommender, recommender.split, beside / STATE)


def write_model(recommender: Recommender, folder: Path) -> None:
    system = whole_of(recommender)
    facts = dict(recommender.facts)
    with named_disk_errors(folder):
        folder.mkdir()
    system.backbone.save(folder / BACKBONE_DIR)
    if system.joint is not None:
        save_joint(system.joint, folder / JOINT_DIR)
    if system.search is not None:
        with named_disk_errors(folder / INDEX_DIR):
            shutil.copytree(system.search.base, folder / INDEX_DIR)
    evidence = system.as_fitted().evidence
    if evidence is not None:
        save_evidence(evidence, folder / EVIDENCE_DIR)
    if system.reranked is not None and system.reranked.fitted:
        save_reranked(system.as_fitted(), folder / RERANK_DIR)
    if system.voice is not None:
        save_voice(system.voice, folder / VOICE_DIR)
    write_catalogue(folder, recommender.known)
    write_json(folder / CONFIG_FILE, facts.get("config", {}))
    write_bytes(folder / CARD_FILE, card(facts, recommender.known).encode())
    seal(folder, {key: value for key, value in facts.items() if key not in ("config", "files", "format")})


def _write_state(recommender: Recommender, split: Split, folder: Path) -> None:
    with named_disk_errors(folder):
        folder.mkdir()
    write_events(folder, split.source, split.parts)
    facts: dict[str, Any] = {"data_sha256": recommender.facts["data"]["sha256"]}
    if recommender.forgotten:
        facts["forgotten"] = recommender.forgotten
    seal(folder, facts, moving=MOVING)
    if recommender.live is not None:
        write_log(recommender, folder)
