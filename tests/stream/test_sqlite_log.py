"""The embedded log: what is read is what was acknowledged, in order, whoever reopens it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

import pytest
from tests.stream.made import RECEIVED, event, events, filled, ids

from dynmm.errors import ArtefactError, NewerArtefact, StorageError, TamperedArtefact
from dynmm.stream import sqlite_log
from dynmm.stream.canonical import event_bodies, mark_body
from dynmm.stream.chain import EVENT, MARK, State, chained
from dynmm.stream.events import Entry, Event, Mark, Receipt
from dynmm.stream.sealing import seal_path
from dynmm.stream.sqlite_log import SqliteLog


def test_what_was_appended_is_read_after_reopening(tmp_path: Path) -> None:
    with filled(tmp_path / "log") as log:
        before, head = list(log.read()), log.head
    with SqliteLog(tmp_path / "log") as log:
        assert list(log.read()) == before
        assert (log.offset, log.marks, log.head) == (30, 3, head)
    assert before[0] == Entry(0, event(0), RECEIVED)
    assert [record for record in before if isinstance(record, Mark)][1] == Mark(20, 1, "window", {"batch": 15})


def test_the_chain_is_what_it_was() -> None:
    """A change of the canonical bytes would part new logs from old ones: it needs a new format."""
    log = [
        (EVENT, 5, event_bodies([Event("é", "u", "i", -1, 4.5, None, "play")])[0]),
        (MARK, 0, mark_body("w", {"b": 1, "a": [None, 0.1]})),
    ]
    state = State()
    for what, received, body in log:
        _, state = chained(state, what, received, body)
    assert [body for _, _, body in log] == [
        '["é","u","i",-1,4.5,null,"play"]'.encode(),
        b'["w",{"a":[null,0.1],"b":1}]',
    ]
    assert state.head == "a1e7aac25663f2a7890083d7d2bbae306f637e7e4aa9499db04ec96ee44a743b"


def test_a_log_that_was_not_closed_is_checked_and_goes_on(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom tests.stream.made import filled\n"
        "filled(Path(sys.argv[1])); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "log")], check=False)
    with SqliteLog(tmp_path / "log") as log:
        assert ids(log.read()) == [one.id for one in events(30)]
        assert log.append([event(30)]).accepted == (30,)


def test_a_second_writer_is_refused_and_a_reader_is_not(tmp_path: Path) -> None:
    with filled(tmp_path / "log") as log:
        with pytest.raises(StorageError, match="one process writes at a time"):
            SqliteLog(tmp_path / "log")
        reader = SqliteLog(tmp_path / "log", read_only=True)
        assert list(reader.read()) == list(log.read())
        log.append([event(30)])
        assert reader.offset == 31
        with pytest.raises(StorageError, match="opened for reading"):
            reader.append([event(31)])


def test_threads_share_commits_and_keep_their_own_order(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    receipts: dict[int, list[Receipt]] = {}

    def produce(worker: int) -> None:
        receipts[worker] = [log.append([event(worker * 1000 + step)]) for step in range(50)]

    threads = [threading.Thread(target=produce, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = [record for record in log.read() if isinstance(record, Entry)]
    assert [entry.offset for entry in entries] == list(range(400))
    for worker, got in receipts.items():
        for step, receipt in enumerate(got):
            assert entries[receipt.accepted[0]].event == event(worker * 1000 + step)
    log.close()


def test_reading_does_not_see_what_comes_later(tmp_path: Path) -> None:
    with filled(tmp_path / "log", 10) as log:
        reading = log.read()
        first = next(reading)
        log.append(events(5, 100))
        assert ids([first, *reading]) == [one.id for one in events(10)]


def test_a_log_of_format_1_is_migrated(tmp_path: Path) -> None:
    import sqlite3

    filled(tmp_path / "log").close()
    expected = list(SqliteLog(tmp_path / "log", read_only=True).read())
    seal_path(tmp_path / "log").unlink()
    with sqlite3.connect(tmp_path / "log") as old:
        old.execute("DROP TABLE ids")
        old.execute("DELETE FROM meta WHERE key = 'generation'")
        old.execute("UPDATE meta SET value = 1 WHERE key = 'format'")
    old.close()
    with pytest.raises(ArtefactError, match="open it for writing once"):
        SqliteLog(tmp_path / "log", read_only=True)
    with SqliteLog(tmp_path / "log") as log:
        assert list(log.read()) == expected
        assert log.append([event(3), event(30)]).duplicates == ("e3",)
        log.verify()


def test_a_later_format_is_refused_by_name(tmp_path: Path) -> None:
    import sqlite3

    filled(tmp_path / "log").close()
    with sqlite3.connect(tmp_path / "log") as newer:
        newer.execute("UPDATE meta SET value = 3 WHERE key = 'format'")
    newer.close()
    for read_only in (False, True):
        with pytest.raises(NewerArtefact, match="upgrade dynmm"):
            SqliteLog(tmp_path / "log", read_only=read_only)


def test_an_empty_file_and_another_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("these are no pages of a database " * 200)
    for name in ("empty", "text"):
        with pytest.raises(TamperedArtefact, match="restore"):
            SqliteLog(tmp_path / name)


def test_a_log_that_ends_before_its_seal_is_refused(tmp_path: Path) -> None:
    filled(tmp_path / "short", 10).close()
    filled(tmp_path / "long", 30).close()
    seal_path(tmp_path / "long").replace(seal_path(tmp_path / "short"))
    for read_only in (True, False):
        with pytest.raises(TamperedArtefact, match="closed at offset 30"):
            SqliteLog(tmp_path / "short", read_only=read_only)


def test_a_log_whose_file_is_gone_is_not_begun_anew(tmp_path: Path) -> None:
    filled(tmp_path / "log", 10).close()
    (tmp_path / "log").unlink()
    with pytest.raises(TamperedArtefact, match=r"log is gone, and log\.seal says that it was a log"):
        SqliteLog(tmp_path / "log")
    assert not (tmp_path / "log").exists()
    seal_path(tmp_path / "log").unlink()
    assert SqliteLog(tmp_path / "log").offset == 0


def test_a_closed_log_says_so(tmp_path: Path) -> None:
    log = filled(tmp_path / "log")
    log.close()
    log.close()
    with pytest.raises(StorageError, match="was closed"):
        log.append([event(99)])


def test_nothing_is_there_before_the_first_event(tmp_path: Path) -> None:
    with SqliteLog(tmp_path / "deep" / "log") as log:
        assert (log.offset, log.marks, log.head, list(log.read())) == (0, 0, "0" * 64, [])
        assert log.append([]) == Receipt((), (), (), 0)
        assert log.holds(0, "0" * 64)


def test_time_of_any_kind_is_kept_as_it_came(tmp_path: Path) -> None:
    odd = [event(0, timestamp=None), event(1, timestamp=0), event(2, timestamp=-1), event(3, timestamp=2**62)]
    with SqliteLog(tmp_path / "log") as log:
        log.append(odd, received=5)
        log.append([event(4)], received=3)
        found = [record for record in log.read() if isinstance(record, Entry)]
    assert [entry.event for entry in found] == [*odd, event(4)]
    assert [entry.received for entry in found] == [5, 5, 5, 5, 3]


def test_importing_the_log_needs_no_torch() -> None:
    script = (
        "import sys, dynmm.stream.sqlite_log, dynmm.stream.snapshots, dynmm.stream.protocol\n"
        "print(sorted({'numpy', 'polars', 'torch'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_ids_are_kept_as_they_came(tmp_path: Path) -> None:
    strange = [
        Event("a\0b", "ü", "漢字", 1),
        Event("a", "x" * 1024, '"\\\n', 1),
        Event("a\0c", "u", "🦀", 1, 0.1, 2, "k"),
    ]
    with SqliteLog(tmp_path / "log") as log:
        assert log.append(strange).accepted == (0, 1, 2)
        assert log.append(strange).duplicates == ("a\0b", "a", "a\0c")
        assert [record.event for record in log.read() if isinstance(record, Entry)] == strange


def test_what_was_just_written_reads_as_the_file_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with filled(tmp_path / "log", 30) as log:
        log.mark("window", {"batch": 30})
        log.append(events(10, 30), received=RECEIVED)
        reader = SqliteLog(tmp_path / "log", read_only=True)
        places = [
            (start, stop, marks) for start in (0, 29, 30, 34, 40) for stop in (None, 30, 38) for marks in (0, 3, 4)
        ]
        told = [list(reader.read(start, stop, marks_from=marks)) for start, stop, marks in places]
        assert [list(log.read(start, stop, marks_from=marks)) for start, stop, marks in places] == told
        monkeypatch.setattr(sqlite_log, "reading_connection", _no_file)
        assert ids(log.read(30, marks_from=4)) == [f"e{number}" for number in range(30, 40)]
        with pytest.raises(AssertionError, match="the file is asked"):
            list(log.read(30, marks_from=3))
        log.mark("window", {"batch": 40})
        assert [type(one) for one in log.read(40, marks_from=4)] == [Mark]
        with pytest.raises(AssertionError, match="the file is asked"):
            list(log.read(39, marks_from=4))


def _no_file(*_: object) -> NoReturn:
    raise AssertionError("the file is asked")


def test_a_large_commit_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_log, "_KEPT", 5)
    with SqliteLog(tmp_path / "log") as log:
        log.append(events(6))
        assert ids(log.read()) == [one.id for one in events(6)]
        monkeypatch.setattr(sqlite_log, "reading_connection", _no_file)
        with pytest.raises(AssertionError, match="the file is asked"):
            list(log.read())
        log.append(events(5, 6))
        assert ids(log.read(6)) == [one.id for one in events(5, 6)]
