"""A disk that is full or fails: nothing is acknowledged that is not there, and all goes on when it is back."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.stream.made import event, events, ids

from dynmm.errors import StorageError
from dynmm.stream.events import Event
from dynmm.stream.sqlite_log import SqliteLog
from dynmm.stream.sqlite_opening import was_closed

LARGE = "x" * 1000


def fill(log: SqliteLog) -> list[str]:
    """Append until the disk refuses; what was acknowledged."""
    acknowledged: list[str] = []
    for number in range(10_000):
        batch = [Event(f"{number}-{part}", LARGE, LARGE, number) for part in range(5)]
        try:
            log.append(batch)
        except StorageError:
            return acknowledged
        acknowledged.extend(one.id for one in batch)
    raise AssertionError("the disk never was full")


def goes_on(log: SqliteLog, acknowledged: list[str]) -> None:
    found = ids(log.read())
    assert found == acknowledged
    assert log.offset == len(acknowledged)
    receipt = log.append(events(10))
    assert receipt.accepted == tuple(range(len(found), len(found) + 10))
    log.verify()


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """A limit on the size of any file, as a disk that is full when a file grows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_it_goes_on_where_it_was_when_there_is_room_again(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    with files_up_to(300_000):
        acknowledged = fill(log)
        assert acknowledged
        # Still full: refused again, and reading goes on.
        with pytest.raises(StorageError):
            log.append([Event(f"large {number}", LARGE, LARGE, 1) for number in range(500)])
        assert ids(log.read()) == acknowledged
    goes_on(log, acknowledged)
    log.close()
    with SqliteLog(tmp_path / "log") as again:
        assert ids(again.read())[: len(acknowledged)] == acknowledged


def test_a_log_that_is_closed_on_a_full_disk_opens_again(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    with files_up_to(300_000):
        acknowledged = fill(log)
        log.close()
    with SqliteLog(tmp_path / "log") as again:
        goes_on(again, acknowledged)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by the superuser alone")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_file_system(small_disk: Path) -> None:
    log = SqliteLog(small_disk / "log")
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 400_000)
    acknowledged = fill(log)
    with pytest.raises(StorageError):
        log.forget(LARGE[:-1])
    assert ids(log.read()) == acknowledged
    ballast.unlink()
    goes_on(log, acknowledged)
    log.close()


def test_no_log_is_made_on_a_full_file_system(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(b"x" * (1 << 20))
    with pytest.raises(StorageError):
        SqliteLog(small_disk / "log")
    (small_disk / "ballast").unlink()
    with SqliteLog(small_disk / "log") as log:
        goes_on(log, [])


class FailingCommits:
    """A connection whose next commits fail, before or behind the real one, as a sync that fails may."""

    def __init__(self, real: sqlite3.Connection, times: int, *, stored: bool) -> None:
        self._real, self._times, self._stored = real, times, stored

    def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        if statement == "COMMIT" and self._times:
            self._times -= 1
            if self._stored:
                self._real.execute(statement)
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
            raise error
        return self._real.execute(statement, *values)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


@pytest.mark.parametrize("stored", [False, True])
def test_a_commit_that_fails_is_not_acknowledged_and_not_repeated(tmp_path: Path, stored: bool) -> None:
    log = SqliteLog(tmp_path / "log")
    log.append(events(3))
    real = log._connection
    assert real is not None
    log._connection = FailingCommits(real, 1, stored=stored)  # type: ignore[assignment]
    with pytest.raises(StorageError, match="free some space or check the disk"):
        log.append([event(3), event(4)])
    receipt = log.append([event(3), event(4), event(5)])
    assert ids(log.read()) == [one.id for one in events(6)]
    assert receipt.accepted == ((5,) if stored else (3, 4, 5))
    assert receipt.duplicates == (("e3", "e4") if stored else ())
    log.verify()
    log.close()


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file"):
        SqliteLog(tmp_path / "file" / "log")


@contextmanager
def not_to_be_written(folder: Path) -> Iterator[None]:
    """A folder, an own file system where the superuser asks, that is read-only within the block."""
    if os.geteuid():
        folder.chmod(0o555)
    else:
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    try:
        yield
    finally:
        if os.geteuid():
            folder.chmod(0o755)
        else:
            subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


@pytest.fixture
def shelf(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    if os.geteuid():
        (tmp_path / "shelf").mkdir()
        return tmp_path / "shelf"
    return Path(request.getfixturevalue("small_disk"))


def test_a_closed_log_is_read_where_its_folder_may_not_be_written(shelf: Path) -> None:
    with SqliteLog(shelf / "log") as log:
        log.append(events(10))
        head = log.head
    before = sorted(os.listdir(shelf))
    with not_to_be_written(shelf):
        log = SqliteLog(shelf / "log", read_only=True)
        assert ids(log.read()) == [one.id for one in events(10)]
        assert (log.offset, log.head) == (10, head)
        assert log.holds(10, head)
        assert sorted(os.listdir(shelf)) == before
    # Beside a writer it is read as ever, and reads on.
    with SqliteLog(shelf / "log") as writer:
        writer.append(events(12))
        assert log.offset == 12


@pytest.mark.parametrize("lost", ["log-shm", "log-wal"])
def test_a_log_that_was_not_closed_says_that_its_folder_must_be_writable(
    shelf: Path, tmp_path: Path, lost: str
) -> None:
    """As after a kill: what is in the write-ahead log is not in the file."""
    with SqliteLog(tmp_path / "whole" / "log") as log:
        log.append(events(10))
        for name in {"log", "log-wal", "log-shm"} - {lost}:
            shutil.copy(tmp_path / "whole" / name, shelf / name)
    with (
        not_to_be_written(shelf),
        pytest.raises(StorageError, match=r"was not closed by its last writer.*its folder may be written"),
    ):
        SqliteLog(shelf / "log", read_only=True)


def test_all_of_a_log_is_in_its_file_where_it_was_closed_and_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with SqliteLog(path) as log:
        log.append(events(10))
        assert not was_closed(path)
    assert was_closed(path)
    (tmp_path / "log-wal").write_bytes(b"")
    assert was_closed(path)
    (tmp_path / "log-wal").write_bytes(b"x")
    assert not was_closed(path)
    (tmp_path / "log-wal").unlink()
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    assert not was_closed(path)


def test_a_flood_is_taken_in_one_piece(tmp_path: Path) -> None:
    with SqliteLog(tmp_path / "log") as log:
        receipt = log.append(events(30_000))
        assert receipt.accepted == tuple(range(30_000))
        assert log.append(events(30_000)).accepted == ()
        assert len(ids(log.read())) == 30_000


def test_a_second_process_is_refused_by_name(tmp_path: Path) -> None:
    script = "import sys\nfrom dynmm.stream.sqlite_log import SqliteLog\nSqliteLog(sys.argv[1])"
    with SqliteLog(tmp_path / "log"):
        ran = subprocess.run([sys.executable, "-c", script, str(tmp_path / "log")], capture_output=True, text=True)
    assert "StorageError" in ran.stderr
    assert "which writes this log" in ran.stderr
