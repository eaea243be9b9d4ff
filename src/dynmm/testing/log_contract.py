"""The contract of `dynmm.stream.protocol.EventLog`, as checks that anyone can run on a log of their own.

    import pytest
    from dynmm.testing import LOG_CHECKS

    @pytest.mark.parametrize("check", LOG_CHECKS, ids=lambda check: check.__name__)
    def test_my_log(check, tmp_path):
        check(lambda name: MyLog(tmp_path / name))

A factory opens the log of a name, an empty one where there was none; the same name after `close` opens the same
log again. Each check raises `ContractBroken`, which says what was promised.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from dynmm.errors import DataError, StorageError
from dynmm.stream.events import Entry, Event, Mark, Receipt
from dynmm.stream.protocol import EventLog, ForgettingLog
from dynmm.testing.contract import require

LogFactory = Callable[[str], EventLog]
LogCheck = Callable[[LogFactory], None]

_EMPTY = "0" * 64


def check_log(factory: LogFactory) -> None:
    """Run every check."""
    for check in LOG_CHECKS:
        check(factory)


def check_is_a_log(factory: LogFactory) -> None:
    """It has what the protocol names, and begins empty."""
    log = factory("empty")
    require(isinstance(log, EventLog), "a log has offset, marks, head, append, mark, read, holds and close")
    require((log.offset, log.marks, log.head) == (0, 0, _EMPTY), "an empty log has offset 0 and a head of 64 zeros")
    require(log.append([]) == Receipt((), (), (), 0), "an empty append changes nothing")
    require(list(log.read()) == [], "an empty log gives nothing")
    log.close()
    log.close()
    try:
        log.append(_events(1))
    except StorageError:
        return
    require(False, "a closed log refuses with StorageError")


def check_gives_what_it_took(factory: LogFactory) -> None:
    """In order, every field as it came, with offsets from 0; also after it was closed and opened again."""
    log = factory("taken")
    given = [*_events(3), *_STRANGE]
    receipt = log.append(given, received=77)
    require(
        receipt == Receipt(tuple(range(len(given))), (), (), len(given)), "a receipt gives the offset of each event"
    )
    expected = [Entry(offset, event, 77) for offset, event in enumerate(given)]
    require(list(log.read()) == expected, "what is read is what was appended")
    head = log.head
    log.close()
    again = factory("taken")
    require(list(again.read()) == expected and again.head == head, "a log is the same after it was closed and opened")
    require(again.append(given[:1]).duplicates == (given[0].id,), "an event is known after the log was opened again")
    again.close()


def check_takes_no_event_twice(factory: LogFactory) -> None:
    """The same id with the same contents is a duplicate, with other contents a conflict; the first stands."""
    log = factory("twice")
    first, second = _events(2)
    other = Event(first.id, first.user, "another item", first.timestamp)
    log.append([first], received=1)
    receipt = log.append([first, other, second, second, other], received=2)
    require(receipt.accepted == (1,), "only what is new is accepted")
    require(receipt.duplicates == (first.id, second.id), "the same contents are a duplicate, within one call too")
    require(receipt.conflicts == (first.id, first.id), "other contents are a conflict")
    require(_ids(log.read()) == [first.id, second.id], "neither is in the log")
    require(log.append([Event("x", "u", "i", 1), Event("x", "u", "i", 2)]).conflicts == ("x",), "the first stands")
    log.close()


def check_refuses_what_it_cannot_keep(factory: LogFactory) -> None:
    """A bad event is named, and nothing of its call is taken."""
    log = factory("refused")
    good = _events(1)[0]
    for bad in _BAD:
        try:
            log.append([good, bad])
        except DataError as error:
            require("event 1" in str(error), "a refusal names the event")
        else:
            require(False, f"{ascii(bad)[:90]} is refused with DataError")
    require(log.offset == 0 and log.head == _EMPTY, "nothing of a refused call is taken")
    log.close()


def check_marks_stand_between_events(factory: LogFactory) -> None:
    """A mark at a stands before event a; parts of the log together are the log."""
    log = factory("marks")
    first = log.mark("start", {"a": [1, 2.5, None, "ü"], "b": {"c": True}})
    log.append(_events(4), received=0)
    second, third = log.mark("window", {}), log.mark("window", {"n": 2})
    log.append(_events(8)[4:], received=0)
    log.mark("end", {})
    require((first.at, first.number, second.at, third.number) == (0, 0, 4, 2), "a mark says where it stands")
    require(log.marks == 4 and log.offset == 8, "marks and events are counted apart")
    everything = list(log.read())
    kinds = [record.kind if isinstance(record, Mark) else record.offset for record in everything]
    require(kinds == ["start", 0, 1, 2, 3, "window", "window", 4, 5, 6, 7, "end"], "a mark stands before event `at`")
    require(everything[0] == first and everything[5] == second, "a mark is read as it was returned")
    for cut in range(9):
        parts = [*log.read(0, cut), *log.read(cut)]
        require(parts == everything, "read(0, a) and read(a) together are the log")
    require(_ids(log.read(2, 5)) == ["e2", "e3", "e4"], "`start` is read and `stop` is not")
    left = [record.number for record in log.read(marks_from=2) if isinstance(record, Mark)]
    require(left == [2, 3], "marks with a number below marks_from are left out")
    require(list(log.read(8, 8)) == [] and list(log.read(100)) == [], "there is nothing where there is nothing")
    log.close()


def check_heads_tell_logs_apart(factory: LogFactory) -> None:
    """Equal records, equal heads, however they were grouped; and a log knows the heads that it once had."""
    one, other = factory("one"), factory("other")
    heads = [(0, one.head)]
    for event in _events(5):
        one.append([event], received=9)
        heads.append((one.offset, one.head))
    one.mark("m", {})
    heads.append((one.offset, one.head))
    other.append(_events(5), received=9)
    other.mark("m", {})
    require(one.head == other.head, "logs of equal records have equal heads, however they were appended")
    require(all(one.holds(*known) for known in heads), "a log holds each offset with the head that it had there")
    require(not one.holds(3, heads[2][1]) and not one.holds(99, one.head), "and no other")
    other.append(_events(6)[5:], received=10)
    one.append(_events(6)[5:], received=11)
    require(one.head != other.head, "the time of acceptance is in the chain")
    require(not one.holds(other.offset, other.head), "a log does not hold the head of another")
    one.close()
    other.close()


def check_threads_may_append_at_once(factory: LogFactory) -> None:
    """Each call keeps its order, each event is there once, and receipts are right."""
    log = factory("threads")
    receipts: dict[str, Receipt] = {}

    def produce(worker: int) -> None:
        for step in range(10):
            names = [f"w{worker}-{step}-{number}" for number in range(3)]
            receipts[names[0]] = log.append([Event(name, "u", "i", None) for name in names])

    threads = [threading.Thread(target=produce, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = _ids(log.read())
    require(len(ids) == 120 and len(set(ids)) == 120, "each event is there once")
    for first, receipt in receipts.items():
        names = [f"{first[:-1]}{number}" for number in range(3)]
        require([ids[offset] for offset in receipt.accepted] == names, "a receipt gives the places of its events")
    log.close()


def check_a_read_ends_where_it_began(factory: LogFactory) -> None:
    """What is appended after `read` was called is not read."""
    log = factory("reading")
    log.append(_events(4))
    reading = log.read()
    log.append(_events(9)[4:])
    require(_ids(reading) == ["e0", "e1", "e2", "e3"], "a read gives what was there when it was called")
    log.close()


def check_forgets_if_it_can(factory: LogFactory) -> None:
    """A log that can forget becomes the one that was never given the user. Others have no such method."""
    log, never = factory("forgetting"), factory("never")
    if not isinstance(log, ForgettingLog):
        require(not hasattr(log, "forget"), "a log that cannot forget has no method for it")
        return
    for start in range(0, 40, 10):
        batch = _events(start + 10)[start:]
        log.append(batch, received=start)
        never.append([event for event in batch if event.user != "u1"], received=start)
        log.mark("m", {"start": start})
        never.mark("m", {"start": start})
    forgotten = log.forget("u1")
    require(log.head == never.head == forgotten.new_head, "the log is the one that was never given the user")
    require(list(log.read()) == list(never.read()), "record by record")
    require((forgotten.events, forgotten.old_offset) == (40 - never.offset, 40), "and tells what it did")
    log.close()
    again = factory("forgetting")
    require(again.head == never.head, "also after it was opened again")
    require(len(again.append([_events(2)[1]]).accepted) == 1, "the user may come again")
    again.close()
    never.close()


LOG_CHECKS: tuple[LogCheck, ...] = (
    check_is_a_log,
    check_gives_what_it_took,
    check_takes_no_event_twice,
    check_refuses_what_it_cannot_keep,
    check_marks_stand_between_events,
    check_heads_tell_logs_apart,
    check_threads_may_append_at_once,
    check_a_read_ends_where_it_began,
    check_forgets_if_it_can,
)

_STRANGE = (
    Event("nul\0inside", "ü\n", '"\\', 0, 0.1, -2.5, "play"),
    Event("漢字 🦀", "u" * 1024, "i", -1, 5, None, "\0"),
    Event(" ", "u", "i", 2**63 - 1),
    Event("no time", "u", "i", None, 1e-300),
)

_BAD = (
    Event("", "u", "i", 1),
    Event("half \ud800", "u", "i", 1),
    Event("long", "u" * 1025, "i", 1),
    Event("a", "u", "\udfff", 1),
    Event("a", "u", "i", 2**63),
    Event("a", "u", "i", 1, float("nan")),
    Event("a", "u", "i", 1, None, float("inf")),
    Event("a", "u", "i", 1.5),  # type: ignore[arg-type]
    Event("a", "u", "i", True),
    Event(7, "u", "i", 1),  # type: ignore[arg-type]
    Event("a", "u", "i", 1, "5"),  # type: ignore[arg-type]
    Event("a", "u", "i", 1, kind=""),
)


def _events(count: int) -> list[Event]:
    return [Event(f"e{number}", f"u{number % 3}", f"i{number % 5}", number) for number in range(count)]


def _ids(records: Iterable[Entry | Mark]) -> list[str]:
    return [record.event.id for record in records if isinstance(record, Entry)]
