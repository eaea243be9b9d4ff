"""A user's events leave the file, and the log is the one that never had them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.stream.made import event, events, filled, ids

from dynmm.errors import StorageError
from dynmm.stream.sqlite_log import SqliteLog


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("count", [0, 3, 30, 2500])
@pytest.mark.parametrize("user", ["u0", "u3", "nobody"])
def test_the_log_equals_one_that_never_had_the_user(tmp_path: Path, count: int, user: str) -> None:
    with filled(tmp_path / "with", count) as log, filled(tmp_path / "without", count, without=user) as expected:
        old = log.offset, log.head
        forgotten = log.forget(user)
        assert list(log.read()) == list(expected.read())
        assert log.head == expected.head == forgotten.new_head
        assert (forgotten.old_offset, forgotten.old_head) == old
        assert forgotten.events == old[0] - log.offset
        assert log.marks == forgotten.marks == expected.marks
        log.verify()
    with SqliteLog(tmp_path / "with") as log, SqliteLog(tmp_path / "without") as expected:
        assert log.head == expected.head


def test_no_byte_of_the_user_stays(tmp_path: Path) -> None:
    log = filled(tmp_path / "log", 50)
    log.append([event(1000 + number, user="Wilhelmine-Quastenflosser") for number in range(300)])
    log.append(events(50, 5000))
    assert b"Quastenflosser" in everything_in(tmp_path)
    log.forget("Wilhelmine-Quastenflosser")
    assert b"Quastenflosser" not in everything_in(tmp_path)
    assert b'"e1007"' not in everything_in(tmp_path)
    log.close()


def test_forgotten_ids_may_come_again_and_others_not(tmp_path: Path) -> None:
    with filled(tmp_path / "log", 30) as log:
        log.forget("u3")
        receipt = log.append([event(3), event(4)])
        assert receipt.accepted == (log.offset - 1,)
        assert receipt.duplicates == ("e4",)
        log.verify()


def test_a_reader_in_the_middle_is_told(tmp_path: Path) -> None:
    with filled(tmp_path / "log", 3000) as log:
        begun, waiting = log.read(), log.read()
        next(begun)
        log.forget("u1")
        for reading in (begun, waiting):
            with pytest.raises(StorageError, match="read it again"):
                list(reading)
        assert "e1" not in ids(log.read())


def test_what_was_made_before_no_longer_applies(tmp_path: Path) -> None:
    with filled(tmp_path / "log", 30) as log:
        before = log.offset, log.head
        assert log.holds(*before)
        log.forget("u6")
        assert not log.holds(*before)
        assert log.holds(log.offset, log.head)
