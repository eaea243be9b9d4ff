"""Kills of a process that writes the log: every acknowledged event must be there exactly once.

    python benchmarks/log_kills.py [--kills 1000] [--forgets 100] [--out benchmarks/results/log_kills.json]
    python benchmarks/log_kills.py --kills 1000 --life 1 --more 500

Producers in a process of their own append and say on a pipe what was acknowledged. The process is killed
(SIGKILL) at a random moment, also while it opens the log. After each kill the chain must go on from where
it was before, and hold what was acknowledged. Each log lives through fifty kills, then all of it is checked.
With --forgets a process is killed while it takes a user out: the log is then with or without all of the user.
A kill leaves the system's own cache alone: this says nothing of a loss of power.
"""

from __future__ import annotations

import argparse
import datetime
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from dynmm.storage import write_json
from dynmm.stream.events import Entry, Event
from dynmm.stream.sqlite_log import SqliteLog

LIVES = 50
PRODUCERS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--forgets", type=int, default=100)
    parser.add_argument("--life", type=float, default=0.25, help="seconds that a process is let alone at most")
    parser.add_argument("--more", type=int, default=7, help="events that each producer sends more than the one before")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", nargs=3, metavar=("WHAT", "LOG", "NAME"), help="be the process that is killed")
    arguments = parser.parse_args()
    if arguments.child:
        what, log, name = arguments.child
        produce(Path(log), name, arguments.more) if what == "append" else forget(Path(log))
        return
    generator = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        appends = killed_appends(Path(folder), arguments.kills, arguments.life, arguments.more, generator)
        forgets = killed_forgets(Path(folder), arguments.forgets, generator)
    result = {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "longest_life": arguments.life,
        "most_events_of_a_batch": 1 + arguments.more * (PRODUCERS - 1),
        "appends": appends,
        "forgets": forgets,
    }
    print(result)
    if arguments.out is not None:
        write_json(arguments.out, result)
    sys.exit(1 if appends["lost"] or appends["twice"] or forgets["neither"] else 0)


def produce(path: Path, life: str, more: int) -> None:
    """Append for ever, each producer in batches of its own size, and say what was acknowledged."""
    log = SqliteLog(path)
    os.write(1, b"open\n")

    def run(worker: int) -> None:
        for step in count():
            names = [f"{life}-{worker}-{step}-{number}" for number in range(1 + more * worker)]
            log.append([Event(name, f"user{worker}", "item", step) for name in names])
            # One write of less than a page: it arrives whole or not at all.
            os.write(1, f"{life}-{worker}-{step}-{len(names)}\n".encode())
            if step % 10 == worker:
                log.mark("boundary", {"life": life})

    for worker in range(PRODUCERS):
        threading.Thread(target=run, args=(worker,), daemon=True).start()
    threading.Event().wait()


def forget(path: Path) -> None:
    """Take a user out of the log."""
    log = SqliteLog(path)
    os.write(1, b"open\n")
    log.forget("user1")
    os.write(1, b"done\n")
    threading.Event().wait()


def child(what: str, path: Path, name: object, more: int = 0) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "--child", what, str(path), str(name), "--more", str(more)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def killed_after(running: subprocess.Popen[bytes], seconds: float, *, wait_for_opening: bool) -> list[str]:
    """Everything that the process said before it was killed."""
    assert running.stdout is not None
    said = [running.stdout.readline()] if wait_for_opening else []
    lines: list[bytes] = []
    reading = threading.Thread(target=lambda: lines.extend(running.stdout or ()))
    reading.start()
    time.sleep(seconds)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    reading.join()
    running.stdout.close()
    return [line.decode().strip() for line in [*said, *lines] if line.endswith(b"\n")]


def acknowledged(said: list[str]) -> Iterator[str]:
    """Ids of all events of the batches that were acknowledged."""
    for line in said:
        if "-" in line:
            batch, count = line.rsplit("-", 1)
            yield from (f"{batch}-{number}" for number in range(int(count)))


def killed_appends(folder: Path, kills: int, longest: float, more: int, generator: random.Random) -> dict[str, Any]:
    """So many lives of a writer. lost: acknowledged and not there. twice: there more than once. longest: in seconds."""
    totals = {"kills": 0, "killed_while_opening": 0, "acknowledged": 0, "stored": 0, "marks": 0, "lost": 0, "twice": 0}
    while totals["kills"] < kills:
        path = folder / f"log-{totals['kills']}"
        promised: set[str] = set()
        there: list[str] = []
        for _ in range(min(LIVES, kills - totals["kills"])):
            opening = generator.random() < 0.1
            running = child("append", path, totals["kills"], more)
            said = killed_after(running, generator.random() * longest, wait_for_opening=not opening)
            promised.update(acknowledged(said))
            totals["kills"] += 1
            totals["killed_while_opening"] += "open" not in said
        with SqliteLog(path) as log:
            log.verify()
            there = [record.event.id for record in log.read() if isinstance(record, Entry)]
            totals["marks"] += log.marks
        totals["acknowledged"] += len(promised)
        totals["stored"] += len(there)
        totals["lost"] += len(promised - set(there))
        totals["twice"] += len(there) - len(set(there))
        print(totals, flush=True)
    return totals


def killed_forgets(folder: Path, kills: int, generator: random.Random) -> dict[str, int]:
    """So many kills of a process that forgets. neither: the log was not the one before nor the one after."""
    found = {"kills": kills, "before": 0, "after": 0, "neither": 0}
    for number in range(kills):
        path = folder / f"forgetting-{number}"
        with SqliteLog(path) as log:
            log.append([Event(f"e{n}", f"user{n % 9}", "item", n) for n in range(5000)], received=0)
            before = log.head
        with SqliteLog(folder / f"never-{number}") as log:
            log.append([Event(f"e{n}", f"user{n % 9}", "item", n) for n in range(5000) if n % 9 != 1], received=0)
            after = log.head
        killed_after(child("forget", path, number), generator.random() * 0.15, wait_for_opening=True)
        with SqliteLog(path) as log:
            head = log.verify().head
        found["before" if head == before else "after" if head == after else "neither"] += 1
    return found


if __name__ == "__main__":
    main()
