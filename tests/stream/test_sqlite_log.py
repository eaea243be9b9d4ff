"""The file of a log: what is acknowledged stays, and what was changed is refused or gone from the end."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dynmm.errors import ArtefactError, DynmmError, NewerArtefact, StorageError, TamperedArtefact
from dynmm.stream.events import Entry, Event
from dynmm.stream.sqlite_log import SqliteLog


def _events(count: int, start: int = 0) -> list[Event]:
    return [Event(f"e{n}", f"user {n % 7}", f"item {n % 5}", 1_000 + n) for n in range(start, start + count)]


def _ids(path: Path) -> list[str]:
    with SqliteLog.open(path, read_only=True) as log:
        return [one.event.id for one in log.read() if isinstance(one, Entry)]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed log of 300 events."""
    path = tmp_path_factory.mktemp("log") / "a.sqlite"
    with SqliteLog.open(path) as log:
        for start in range(0, 300, 20):
            log.append(_events(20, start), received=start)
    return path


def _left(path: Path) -> list[str] | None:
    """What a damaged log still tells: its ids, or None where it is refused by name."""
    try:
        with SqliteLog.open(path) as log:
            log.verify()
            return [one.event.id for one in log.read() if isinstance(one, Entry)]
    except (ArtefactError, StorageError) as error:
        if path.name not in str(error):
            raise
        return None


def test_importing_the_log_brings_no_torch() -> None:
    code = "import sys, dynmm.stream.sqlite_log; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.slow
def test_cut_short_at_any_byte_of_its_last_page_it_is_a_prefix_or_refused(original: Path, tmp_path: Path) -> None:
    content, whole = original.read_bytes(), [f"e{n}" for n in range(300)]
    path = tmp_path / "cut.sqlite"
    for length in range(len(content) - 4_096, len(content)):
        path.write_bytes(content[:length])
        left = _left(path)
        assert left is None or left == whole[: len(left)], length
        for beside in tmp_path.glob("cut.sqlite-*"):
            beside.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_flipped_bit_is_seen_or_does_no_harm(original: Path, tmp_path: Path, seed: int) -> None:
    draws, content = random.Random(seed), original.read_bytes()
    path, whole = tmp_path / "flipped.sqlite", [f"e{n}" for n in range(300)]
    for _ in range(100):
        place = draws.randrange(len(content) * 8)
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(bytes(changed))
        left = _left(path)
        assert left is None or left == whole, place
        for beside in tmp_path.glob("flipped.sqlite-*"):
            beside.unlink()


@pytest.mark.slow
def test_a_write_ahead_log_that_is_cut_or_flipped_gives_a_prefix(tmp_path: Path) -> None:
    first = tmp_path / "live.sqlite"
    log = SqliteLog.open(first)
    for start in range(0, 60, 5):
        log.append(_events(5, start), received=start)
    copies = {one.name: one.read_bytes() for one in tmp_path.glob("live.sqlite*") if not one.name.endswith("lock")}
    log.close()
    wal, whole, draws = copies["live.sqlite-wal"], [f"e{n}" for n in range(60)], random.Random(0)
    for number in range(120):
        folder = tmp_path / str(number)
        folder.mkdir()
        changed = bytearray(wal)
        if number % 2:
            del changed[draws.randrange(len(wal)) :]
        else:
            changed[draws.randrange(len(wal))] ^= 1 << draws.randrange(8)
        (folder / "live.sqlite").write_bytes(copies["live.sqlite"])
        (folder / "live.sqlite-wal").write_bytes(bytes(changed))
        left = _left(folder / "live.sqlite")
        assert left is None or left == whole[: len(left)], number


def test_an_event_that_was_changed_in_the_file_is_named(original: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(original, tmp_path / "b.sqlite"))
    plain = sqlite3.connect(path)
    plain.execute("UPDATE records SET body = replace(body, 'item 2', 'item 3') WHERE position = 17")
    plain.commit()
    plain.close()
    with pytest.raises(TamperedArtefact, match="record 17"):
        _ids(path)


def test_an_event_that_was_taken_out_is_missed(original: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(original, tmp_path / "b.sqlite"))
    plain = sqlite3.connect(path)
    plain.execute("DELETE FROM records WHERE position = 40")
    plain.commit()
    plain.close()
    with pytest.raises(TamperedArtefact, match="40"):
        _ids(path)


def test_a_log_of_a_later_format_is_refused_and_an_older_one_migrated(original: Path, tmp_path: Path) -> None:
    newer, older = (Path(shutil.copy(original, tmp_path / name)) for name in ("n.sqlite", "o.sqlite"))
    plain = sqlite3.connect(newer)
    plain.execute("PRAGMA user_version = 99")
    plain.close()
    with pytest.raises(NewerArtefact, match="format 99"):
        SqliteLog.open(newer)
    plain = sqlite3.connect(older)
    plain.execute("DROP INDEX marks")
    plain.execute("PRAGMA user_version = 1")
    plain.commit()
    plain.close()
    with pytest.raises(ArtefactError, match="older format 1"):
        SqliteLog.open(older, read_only=True)
    with SqliteLog.open(older) as log:
        log.append(_events(1, 300))
    assert len(_ids(older)) == 301


def test_another_database_is_no_log(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    plain = sqlite3.connect(path)
    plain.execute("CREATE TABLE t (a)")
    plain.commit()
    plain.close()
    with pytest.raises(ArtefactError, match="no log of dynmm"):
        SqliteLog.open(path)
    (tmp_path / "text.sqlite").write_text("dear diary " * 100)
    with pytest.raises(TamperedArtefact, match=r"text\.sqlite"):
        SqliteLog.open(tmp_path / "text.sqlite")
    with pytest.raises(ArtefactError, match="no log at"):
        SqliteLog.open(tmp_path / "none.sqlite", read_only=True)


def test_a_full_disk_stops_the_acknowledging_and_room_lets_it_go_on(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with SqliteLog.open(path) as log:
        log.append(_events(10))
        log._connection.plain.execute("PRAGMA max_page_count = 12")
        with pytest.raises(StorageError, match=r"could not be written.*Nothing was"):
            log.append(_events(5_000, 10))
        assert log.offset == 10
        # The failed connection is opened anew, without the limit.
        assert log.append(_events(5_000, 10)).offset == 5_010
    assert _ids(path) == [f"e{n}" for n in range(5_010)]


def test_a_failed_commit_acknowledges_nothing_and_the_next_one_is_clean(tmp_path: Path) -> None:
    class Failing:
        """A connection whose disk does not take the next commit."""

        def __init__(self, plain: sqlite3.Connection) -> None:
            self.plain = plain

        def cursor(self) -> sqlite3.Cursor:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error

        def close(self) -> None:
            self.plain.close()

    with SqliteLog.open(tmp_path / "a.sqlite") as log:
        log.append(_events(3))
        log._connection.plain = Failing(log._connection.plain)  # type: ignore[assignment]
        with pytest.raises(StorageError, match="disk I/O error"):
            log.append(_events(3, 3))
        assert log.offset == 3
        assert log.append(_events(3, 3)).accepted == (3, 4, 5)
    assert _ids(tmp_path / "a.sqlite") == [f"e{n}" for n in range(6)]


_WRITER = """
import sys
from pathlib import Path
from dynmm.stream.events import Event
from dynmm.stream.sqlite_log import SqliteLog
log, number = SqliteLog.open(Path(sys.argv[1])), int(sys.argv[2])
while True:
    log.append([Event(f"e{number}-{n}", "u", "i", n) for n in range(3)])
    print(number, flush=True)
    number += 1
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_has_what_it_acknowledged_once(tmp_path: Path) -> None:
    path, acknowledged, draws = tmp_path / "a.sqlite", 0, random.Random(1)
    for _ in range(8):
        command = [sys.executable, "-c", _WRITER, str(path), str(acknowledged)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(draws.randrange(1, 30)):
                acknowledged = int(process.stdout.readline()) + 1
            os.kill(process.pid, signal.SIGKILL)
            rest = process.stdout.read().split()
            acknowledged = int(rest[-1]) + 1 if rest else acknowledged
        ids = _ids(path)
        wanted = [f"e{number}-{n}" for number in range(acknowledged) for n in range(3)]
        assert ids[: len(wanted)] == wanted
        assert len(ids) == len(set(ids))
        acknowledged = len(ids) // 3
        assert len(ids) % 3 == 0, "a call is logged whole or not at all"


def test_every_refusal_is_one_of_ours() -> None:
    assert issubclass(StorageError, DynmmError)
    assert issubclass(TamperedArtefact, ArtefactError)
