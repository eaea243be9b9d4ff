"""The log of events: how many a second are durable, how long one waits, and what kills and damage do to it.

    python benchmarks/event_log.py --events 200000 --kills 1000 --flips 10000 --out benchmarks/results/event_log.json

Kills: a process appends, and is killed with SIGKILL at a random moment; then the log is opened, and every event that
was acknowledged must be there once, in its order. Cuts: a closed log is cut short at every byte of its last page.
Flips: one random bit of a closed log, or of its write-ahead log, is turned over. After each, the log gives a prefix of
what was written, or refuses by name; the counts say how often which.
"""

from __future__ import annotations

import argparse
import datetime
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dynmm.errors import ArtefactError, StorageError
from dynmm.storage import write_json
from dynmm.stream.events import Entry, Event
from dynmm.stream.sqlite_log import SqliteLog

_WRITER = """
import sys
from pathlib import Path
from dynmm.stream.events import Event
from dynmm.stream.sqlite_log import SqliteLog
log, number = SqliteLog.open(Path(sys.argv[1])), int(sys.argv[2])
while True:
    log.append([Event(f"e{number}-{n}", f"u{n}", f"i{number % 50}", number) for n in range(5)])
    print(number, flush=True)
    number += 1
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--flips", type=int, default=1_000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    result: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
    with tempfile.TemporaryDirectory(prefix="dynmm-log-") as folder:
        home = Path(folder)
        result["throughput"] = [_throughput(home, arguments.events, batch) for batch in (1, 10, 100, 1_000)]
        result["together"] = _together(home, 16, 50)
        result["read_per_second"] = _reading(home, arguments.events)
        result["kills"] = _kills(home, arguments.kills)
        result["cuts"] = _cuts(home)
        result["flips"] = _flips(home, arguments.flips)
    for name, value in result.items():
        print(f"{name}: {value}")
    if arguments.out is not None:
        write_json(arguments.out, result)


def _events(count: int, start: int = 0) -> list[Event]:
    return [Event(f"event-{n}", f"user-{n % 9973}", f"item-{n % 4999}", n) for n in range(start, start + count)]


def _throughput(home: Path, count: int, batch: int) -> dict[str, float]:
    """Durable events a second from one producer, and the wait for one call."""
    events, waits = _events(min(count, 300 * batch)), []
    with SqliteLog.open(home / f"throughput-{batch}.sqlite") as log:
        began, processor = time.perf_counter(), time.process_time()
        for start in range(0, len(events), batch):
            called = time.perf_counter()
            log.append(events[start : start + batch])
            waits.append(time.perf_counter() - called)
        seconds, spent = time.perf_counter() - began, time.process_time() - processor
    ranked = sorted(waits)
    return {
        "batch": batch,
        "events": len(events),
        "events_per_second": round(len(events) / seconds, 1),
        "events_per_processor_second": round(len(events) / spent, 1),
        "p50_ms": round(1000 * statistics.median(ranked), 3),
        "p99_ms": round(1000 * ranked[int(0.99 * (len(ranked) - 1))], 3),
    }


def _together(home: Path, threads: int, calls: int) -> dict[str, float]:
    """Producers of one event a call, which share commits."""
    with SqliteLog.open(home / "together.sqlite") as log:

        def produce(number: int) -> None:
            for event in _events(calls, number * calls):
                log.append([event])

        running = [threading.Thread(target=produce, args=(number,)) for number in range(threads)]
        began = time.perf_counter()
        for one in running:
            one.start()
        for one in running:
            one.join()
        seconds = time.perf_counter() - began
        return {"producers": threads, "events_per_second": round(log.offset / seconds, 1)}


def _reading(home: Path, count: int) -> float:
    with SqliteLog.open(home / "reading.sqlite") as log:
        for start in range(0, count, 5_000):
            log.append(_events(5_000, start))
        began = time.perf_counter()
        read = sum(1 for _ in log.read())
        return round(read / (time.perf_counter() - began), 1)


def _kills(home: Path, count: int) -> dict[str, int]:
    path, acknowledged, draws = home / "kills.sqlite", 0, random.Random(0)
    found = Counter(kills=0, lost=0, doubled=0, torn=0)
    for _ in tqdm(range(count), desc="kills"):
        command = [sys.executable, "-c", _WRITER, str(path), str(acknowledged)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(draws.randrange(1, 20)):
                acknowledged = int(process.stdout.readline()) + 1
            time.sleep(draws.random() * 0.01)
            os.kill(process.pid, signal.SIGKILL)
            rest = process.stdout.read().split()
            acknowledged = int(rest[-1]) + 1 if rest else acknowledged
        with SqliteLog.open(path, read_only=True) as log:
            ids = [one.event.id for one in log.read() if isinstance(one, Entry)]
        wanted = [f"e{number}-{n}" for number in range(acknowledged) for n in range(5)]
        found["kills"] += 1
        found["lost"] += ids[: len(wanted)] != wanted
        found["doubled"] += len(ids) != len(set(ids))
        found["torn"] += len(ids) % 5 != 0
        acknowledged = len(ids) // 5
    return {**found, "events": 5 * acknowledged}


def _left(path: Path, whole: list[str]) -> str:
    """What a damaged log gives: all, a prefix, a refusal by name, or what it must never give."""
    try:
        with SqliteLog.open(path) as log:
            log.verify()
            ids = [one.event.id for one in log.read() if isinstance(one, Entry)]
    except (ArtefactError, StorageError) as error:
        return "refused by name" if path.name in str(error) else "refused without a name"
    if ids == whole:
        return "all"
    return "a prefix" if ids == whole[: len(ids)] else "wrong"


def _damaged(home: Path, files: dict[str, bytes], whole: list[str]) -> str:
    for one in home.glob("damaged.sqlite*"):
        one.unlink()
    for name, content in files.items():
        (home / f"damaged.sqlite{name}").write_bytes(content)
    return _left(home / "damaged.sqlite", whole)


def _closed(home: Path, name: str, count: int) -> tuple[bytes, bytes, bytes, list[str]]:
    """A closed log; and one while it was open: the file and its write-ahead log."""
    events = _events(count)
    path = home / f"{name}.sqlite"
    log = SqliteLog.open(path)
    for start in range(0, count, 10):
        log.append(events[start : start + 10])
    opened, ahead = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    log.close()
    return path.read_bytes(), opened, ahead, [event.id for event in events]


def _cuts(home: Path) -> dict[str, int]:
    closed, _, _, whole = _closed(home, "cuts", 300)
    lengths = range(len(closed) - 4_096, len(closed))
    return dict(Counter(_damaged(home, {"": closed[:length]}, whole) for length in tqdm(lengths, desc="cuts")))


def _flips(home: Path, count: int) -> dict[str, int]:
    closed, opened, ahead, whole = _closed(home, "flips", 300)
    draws, found = random.Random(0), Counter[str]()
    for number in tqdm(range(count), desc="flips"):
        files = {"": closed} if number % 2 else {"": opened, "-wal": ahead}
        name = "" if number % 2 else "-wal"
        changed = bytearray(files[name])
        changed[draws.randrange(len(changed))] ^= 1 << draws.randrange(8)
        found[
            f"{'log' if number % 2 else 'write-ahead log'}: {_damaged(home, files | {name: bytes(changed)}, whole)}"
        ] += 1
    return dict(found)


if __name__ == "__main__":
    main()
