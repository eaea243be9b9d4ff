"""What every log of events does: the contract, over each kind that this machine can run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dynmm.errors import DataError, StorageError
from dynmm.stream.copying import copy_records
from dynmm.stream.events import Entry, Event, Mark
from dynmm.stream.memory import MemoryLog
from dynmm.stream.protocol import EventLog
from dynmm.stream.sqlite_log import SqliteLog

Make = Callable[[str], EventLog]


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes empty logs by name, of one kind."""
    made: list[EventLog] = []

    def of(name: str) -> EventLog:
        log: EventLog = MemoryLog() if request.param == "memory" else SqliteLog.open(tmp_path / f"{name}.sqlite")
        made.append(log)
        return log

    yield of
    for log in made:
        log.close()


def _events(count: int, start: int = 0) -> list[Event]:
    return [Event(f"e{n}", f"u{n % 3}", f"i{n % 5}", 1_000 + n) for n in range(start, start + count)]


def test_a_log_is_one(make: Make) -> None:
    assert isinstance(make("a"), EventLog)


def test_events_come_back_in_their_order_with_their_offsets(make: Make) -> None:
    log = make("a")
    receipt = log.append(_events(5), received=7)
    assert receipt.accepted == (0, 1, 2, 3, 4)
    assert (log.offset, log.length) == (5, 5)
    assert list(log.read()) == [Entry(n, event, 7) for n, event in enumerate(_events(5))]
    assert [one.offset for one in log.read(2, 4) if isinstance(one, Entry)] == [2, 3]


def test_everything_that_an_event_can_tell_comes_back(make: Make) -> None:
    log = make("a")
    event = Event("é\u202e\n\"'", "a\tb", "ß", None, rating=0.1, weight=2.0, kind="play")
    log.append([event], received=1)
    assert list(log.read()) == [Entry(0, event, 1)]


def test_an_event_that_comes_twice_is_logged_once(make: Make) -> None:
    log = make("a")
    log.append(_events(3), received=1)
    head = log.head
    receipt = log.append([*_events(3), *_events(1)], received=2)
    assert (receipt.accepted, receipt.duplicates, receipt.offset) == ((), ("e0", "e1", "e2", "e0"), 3)
    assert log.head == head


def test_an_id_with_other_contents_is_a_conflict_and_the_first_stands(make: Make) -> None:
    log = make("a")
    other = Event("e0", "u0", "i4", 1_000)
    assert log.append([*_events(1), other, *_events(1, 9)]).conflicts == ("e0",)
    assert [one.event.id for one in log.read() if isinstance(one, Entry)] == ["e0", "e9"]
    assert log.append([other]).conflicts == ("e0",)


def test_an_empty_append_changes_nothing(make: Make) -> None:
    log = make("a")
    assert log.append([]).offset == 0
    assert list(log.read()) == []


def test_marks_stand_between_events(make: Make) -> None:
    log = make("a")
    log.mark("before", {})
    log.append(_events(2), received=1)
    mark = log.mark("items", {"ids": ["x"], "number": 0})
    log.append(_events(1, 2), received=1)
    assert (mark.at, mark.number) == (2, 1)
    kinds = [one.kind if isinstance(one, Mark) else one.offset for one in log.read()]
    assert kinds == ["before", 0, 1, "items", 2]
    assert next(iter(log.read(2, marks_from=1))) == mark
    assert [one.offset for one in log.read(1, marks_from=2) if isinstance(one, Entry)] == [1, 2]
    assert (log.offset, log.length) == (3, 5)
    assert list(log.read(3, marks_from=2)) == []


def test_the_chain_names_every_length(make: Make) -> None:
    log = make("a")
    heads = [log.head]
    for event in _events(3):
        log.append([event], received=5)
        heads.append(log.head)
    heads.append("")
    log.mark("x", {})
    heads[-1] = log.head
    assert len(set(heads)) == 5
    assert [log.head_at(length) for length in range(5)] == heads
    assert log.head_at(6) is None


def test_a_copy_without_a_user_is_the_log_that_never_had_them(make: Make) -> None:
    log, smaller, never = make("a"), make("b"), make("c")
    log.append(_events(4), received=1)
    log.mark("items", {"number": 0})
    log.mark("boundary", {"number": 0})
    log.append(_events(4, 4), received=2)
    left = copy_records(log, smaller, without="u1", leave_out=("boundary",))
    others = [event for event in _events(8) if event.user != "u1"]
    never.append([event for event in others if int(event.id[1:]) < 4], received=1)
    never.mark("items", {"number": 0})
    never.append([event for event in others if int(event.id[1:]) >= 4], received=2)
    assert left == 3
    assert list(smaller.read()) == list(never.read())
    assert smaller.head == never.head


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Event("", "u", "i", 1), "id '' is no id"),
        (Event("e", "u\0", "i", 1), "user"),
        (Event("e", "u", "\ud800", 1), "item"),
        (Event("e", "u", "i" * 5_000, 1), "no id"),
        (Event("e", "u", "i", 1.5), "timestamp"),  # type: ignore[arg-type]
        (Event("e", "u", "i", 1, rating=float("nan")), "rating"),
        (Event("e", "u", "i", 1, weight=float("inf")), "weight"),
    ],
)
def test_what_no_log_may_hold_is_refused_and_nothing_is_logged(make: Make, event: Event, words: str) -> None:
    log = make("a")
    with pytest.raises(DataError, match=words):
        log.append([*_events(2), event])
    assert log.offset == 0


def test_a_mark_that_is_no_json_is_refused(make: Make) -> None:
    with pytest.raises(DataError, match="'odd'"):
        make("a").mark("odd", {"what": object()})


@pytest.mark.parametrize("moment", [0, -5, 4_102_444_800_000, 1 << 61])
def test_clocks_may_be_wrong(make: Make, moment: int) -> None:
    log = make("a")
    log.append([Event("e", "u", "i", moment)], received=3)
    assert [one.event.timestamp for one in log.read() if isinstance(one, Entry)] == [moment]


def test_many_threads_append_each_event_once(make: Make) -> None:
    log = make("a")
    offsets: list[int] = []

    def append(start: int) -> None:
        for event in _events(20, start):
            offsets.extend(log.append([event]).accepted)

    threads = [threading.Thread(target=append, args=(start,)) for start in (0, 10, 20, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.offset == 50
    assert sorted(offsets) == list(range(50))
    assert len({one.event.id for one in log.read() if isinstance(one, Entry)}) == 50


def test_a_second_writer_is_refused_and_a_reader_is_not(tmp_path: Path) -> None:
    with SqliteLog.open(tmp_path / "a.sqlite") as log:
        log.append(_events(2))
        with pytest.raises(StorageError, match="being written to"):
            SqliteLog.open(tmp_path / "a.sqlite")
        with SqliteLog.open(tmp_path / "a.sqlite", read_only=True) as reader:
            log.append(_events(2, 2))
            assert (reader.offset, reader.head) == (4, log.head)
            with pytest.raises(StorageError, match="read alone"):
                reader.append(_events(1, 9))
    SqliteLog.open(tmp_path / "a.sqlite").close()
