"""The durable log: events per second and the wait for an append, by batch size and number of producers.

    python benchmarks/event_log.py [--seconds 3] [--out benchmarks/results/event_log.json]

Every append is on the disk when it returns. The aim is 20,000 events a second in batches of a thousand. Beside
each rate stands what the disk alone does, an fsync of a small file, since a small batch is mostly that. One
log per row, in the folder of --folder; ids are random, so that the index of ids is met at its worst.
"""

from __future__ import annotations

import argparse
import datetime
import os
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from dynmm.storage import write_json
from dynmm.stream.events import Event
from dynmm.stream.sqlite_log import SqliteLog

AIM_EVENTS_PER_SECOND = 20_000
BATCHES = (1, 10, 100, 1000, 10_000)
PRODUCERS = (1, 4, 16)
#: Waiting threads share the two cores with nothing else: more producers of large batches only queue.
ROWS = [(batch, producers) for batch in BATCHES for producers in PRODUCERS if batch * producers <= 40_000]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each row")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured; a temporary folder where left out")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        rows = [appended(Path(folder), *row, arguments.seconds) for row in ROWS]
        opening = opened(Path(folder))
        sync = round(sync_milliseconds(Path(folder)), 3)
    best = max(row["events_per_second"] for row in rows)
    result = {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "fsync_milliseconds": sync,
        "aim_events_per_second": AIM_EVENTS_PER_SECOND,
        "rows": rows,
        "opening": opening,
        "best_to_aim": round(best / AIM_EVENTS_PER_SECOND, 2),
    }
    tell(result)
    if arguments.out is not None:
        write_json(arguments.out, result)


def appended(folder: Path, batch: int, producers: int, seconds: float) -> dict[str, Any]:
    """One row: producers append batches until the time is up."""
    log = SqliteLog(folder / f"log-{batch}-{producers}")
    waits: list[list[float]] = [[] for _ in range(producers)]
    used, began = time.process_time(), time.perf_counter()
    end = began + seconds

    def produce(mine: list[float]) -> None:
        while time.perf_counter() < end:
            events = made(batch)
            before = time.perf_counter()
            log.append(events)
            mine.append(time.perf_counter() - before)

    threads = [threading.Thread(target=produce, args=(mine,)) for mine in waits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, used = time.perf_counter() - began, time.process_time() - used
    count, every = log.offset, sorted(wait for mine in waits for wait in mine)
    log.close()
    return {
        "batch": batch,
        "producers": producers,
        "events": count,
        "events_per_second": round(count / took),
        "cpu_microseconds_per_event": round(used / count * 1e6, 1),
        "append_milliseconds": {
            "p50": round(every[len(every) // 2] * 1e3, 2),
            "p99": round(every[int(len(every) * 0.99)] * 1e3, 2),
        },
    }


def made(count: int) -> list[Event]:
    """Events with random ids."""
    return [Event(uuid.uuid4().hex, f"user{n % 997}", f"item{n % 4999}", 1_700_000_000_000 + n) for n in range(count)]


def opened(folder: Path) -> dict[str, Any]:
    """Processor time to open 200,000 events: sealed, and without a seal, when all of it is checked; and to read."""
    path = folder / "opening"
    with SqliteLog(path) as log:
        for _ in range(20):
            log.append(made(10_000))
    found: dict[str, Any] = {"events": 200_000, "bytes_per_event": round(path.stat().st_size / 200_000)}
    for name in ("sealed", "checked"):
        if name == "checked":
            path.with_name("opening.seal").unlink()
        began = time.process_time()
        log = SqliteLog(path)
        found[f"{name}_cpu_seconds"] = round(time.process_time() - began, 3)
        if name == "checked":
            began = time.process_time()
            found["read"] = sum(1 for _ in log.read())
            found["read_cpu_seconds"] = round(time.process_time() - began, 3)
        log.close()
    return found


def sync_milliseconds(folder: Path, times: int = 50) -> float:
    """The middle of the times to write 4 KiB and sync them."""
    waits = []
    with (folder / "sync").open("wb") as file:
        for _ in range(times):
            before = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            waits.append(time.perf_counter() - before)
    return sorted(waits)[times // 2] * 1e3


def tell(result: dict[str, Any]) -> None:
    print(f"fsync {result['fsync_milliseconds']} ms; load {result['load']:.1f}")
    for row in result["rows"]:
        wait = row["append_milliseconds"]
        print(
            f"batch {row['batch']:>6} x {row['producers']:>2} producers: {row['events_per_second']:>7} events/s, "
            f"{row['cpu_microseconds_per_event']:>6} us of the processor each; wait {wait['p50']} ms, p99 {wait['p99']}"
        )
    print(result["opening"])


if __name__ == "__main__":
    main()
