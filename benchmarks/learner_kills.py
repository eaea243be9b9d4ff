"""Kills of the whole learner: what was acknowledged counts exactly once, and the state is that of a run without stops.

    python benchmarks/learner_kills.py [--kills 100] [--out benchmarks/results/learner_kills.json]

A process of its own opens a run, learns a simulated stream in small batches, tells the run of items that come, and says
on a pipe what was acknowledged. It takes a snapshot every few events. It is killed (SIGKILL) at a random moment, while
a snapshot is being written, or while it opens the run; the next one begins again at the last step that was
acknowledged. After 25 kills the log is checked: every acknowledged event once, in the order in which they were sent.
Then `live_sha256` (histories, counts, adapter with its optimiser, guard and replay buffer) is compared with that of a
run that learned the same events without a stop, and with that of the killed run that reads its log without snapshots.
A kill leaves the system's own cache alone: this says nothing of a loss of power. Without re-rankers, which are frozen.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import torch

from dynmm import Dataset, Recommender
from dynmm.assembly import FitOptions
from dynmm.assembly.snapshotting import live_sha256
from dynmm.assembly.whole import whole_of
from dynmm.simulation import WorldConfig, simulate
from dynmm.storage import write_json
from dynmm.stream.events import Entry
from dynmm.stream.sqlite_log import SqliteLog

LIVES = 25
SNAPSHOT_EVERY = 150
WORLD = WorldConfig(users=600, items=400, events=60_000, new_items=0.3, min_events=20, days=60)
#: Share of the world's time that the fit knows.
FITTED = 0.15
CONFIG = {
    "backbone": {"width": 32, "inner": 32, "epochs": 3, "batch_places": 2_048},
    "encoders": {"text": "hashed-words"},
    "rerank": "none",
    "stream": {"snapshot_every": SNAPSHOT_EVERY},
}
#: How often a kill is of which sort, and for how many seconds a learner, or its opening, is let alone at most.
SORTS, WEIGHTS = ("any", "snapshot", "opening"), (0.45, 0.45, 0.1)
LONGEST_LIFE = 4.0
LONGEST_OPENING = 1.0
#: A snapshot that is seen is cut off within so many seconds; one takes some 20 ms.
INTO_SNAPSHOT = 0.02

Step = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", nargs=3, metavar=("RUN", "STEPS", "FIRST"), help="be the process that is killed")
    arguments = parser.parse_args()
    if arguments.child:
        run, steps, first = arguments.child
        learn(Path(run), _read_steps(Path(steps)), int(first))
        return
    runs = []
    with tempfile.TemporaryDirectory(prefix="dynmm-kills-") as folder:
        fitted, steps = Path(folder) / "fitted", Path(folder) / "steps.json"
        _prepare(fitted, steps)
        for number, begun in enumerate(range(0, arguments.kills, LIVES)):
            lives = min(LIVES, arguments.kills - begun)
            runs.append(killed(Path(folder) / f"run-{number}", fitted, steps, lives, random.Random(number)))
            print(runs[-1], flush=True)
    result = _summary(runs)
    print(json.dumps({name: value for name, value in result.items() if name != "runs"}, indent=1))
    if arguments.out is not None:
        write_json(arguments.out, result)
    wrong = result["lost"] or result["doubled"] or result["out_of_order"] or not result["identical"]
    sys.exit(1 if wrong else 0)


def learn(run: Path, steps: Sequence[Step], first: int) -> None:
    """Take the steps from this one on, and say of each when it is acknowledged."""
    os.write(1, b"begun\n")
    recommender = Recommender.from_pretrained(run)
    os.write(1, b"open\n")
    for number in range(first, len(steps)):
        take(recommender, steps[number])
        # One write of less than a page: it arrives whole or not at all.
        os.write(1, f"{number}\n".encode())
    threading.Event().wait()


def take(recommender: Recommender, step: Step) -> None:
    """Learn events, or tell of items. What is told twice is told once."""
    if "events" in step:
        recommender.learn(step["events"])
    elif new := [item for item in step["items"] if item["item_id"] not in recommender.items]:
        recommender.add_items(pl.DataFrame(new))


def killed(run: Path, fitted: Path, path: Path, lives: int, draws: random.Random) -> dict[str, Any]:
    """So many lives of a learner on one run, and what is left of it."""
    shutil.copytree(fitted, run)
    steps, done = _read_steps(path), -1
    facts: dict[str, Any] = {"kills": 0, "opening": 0, "in_snapshot": 0}
    for _ in range(lives):
        sort, before = draws.choices(SORTS, WEIGHTS)[0], _unfinished(run)
        said = _one_life(run, path, max(0, done), sort, draws)
        done = max([done, *(int(line) for line in said if line.isdecimal())])
        facts["kills"] += 1
        facts["opening"] += "open" not in said
        facts["in_snapshot"] += bool(_unfinished(run) - before)
        assert done + 1 < len(steps), "the stream is too short for so many kills; simulate a longer one"
    return facts | _checked(run, fitted, steps, done)


def _one_life(run: Path, steps: Path, first: int, sort: str, draws: random.Random) -> list[str]:
    """Everything that a learner said before it was killed."""
    command = [sys.executable, __file__, "--child", str(run), str(steps), str(first)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert running.stdout is not None
    said = _next_line(running)
    if sort != "opening":
        said += _next_line(running)
    lines: list[bytes] = []
    listener = threading.Thread(target=lambda: lines.extend(running.stdout or ()))
    listener.start()
    before = _unfinished(run)
    time.sleep(draws.random() * (LONGEST_OPENING if sort == "opening" else LONGEST_LIFE))
    if sort == "snapshot":
        patience = time.monotonic() + 60
        while not _unfinished(run) - before and time.monotonic() < patience:
            time.sleep(0.0005)
        time.sleep(draws.random() * INTO_SNAPSHOT)
    os.kill(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL, "the learner ended by itself; see above what it said"
    listener.join()
    running.stdout.close()
    return said + [line.decode().strip() for line in lines if line.endswith(b"\n")]


def _next_line(running: subprocess.Popen[bytes]) -> list[str]:
    assert running.stdout is not None
    return [running.stdout.readline().decode().strip()]


def _unfinished(run: Path) -> set[Path]:
    """Snapshots that are being written, or that a kill left so. The next snapshot sweeps them away."""
    return set((run / "state" / "snapshots").glob(".at-*"))


def _checked(run: Path, fitted: Path, steps: Sequence[Step], done: int) -> dict[str, Any]:
    """What the log holds against what was acknowledged, and the state against runs that were not killed.

    lost: acknowledged and not there. doubled: there more than once. out_of_order: there, and not where it was sent.
    """
    sent = [event["event_id"] for step in steps for event in step.get("events", ())]
    promised = {event["event_id"] for step in steps[: done + 1] for event in step.get("events", ())}
    with SqliteLog(run / "state" / "events.sqlite") as log:
        log.verify()
        there = [record.event.id for record in log.read() if isinstance(record, Entry)]
    replayed = run.with_name(run.name + "-replayed")
    shutil.copytree(run, replayed)
    shutil.rmtree(replayed / "state" / "snapshots", ignore_errors=True)
    # The step after the last that was acknowledged may be there or not: all are brought to its end.
    ended = steps[: done + 2]
    with Recommender.from_pretrained(run) as recommender:
        take(recommender, ended[-1])
        state, held, moving = live_sha256(recommender), recommender.held, whole_of(recommender).moving
    with Recommender.from_pretrained(replayed) as recommender:
        take(recommender, ended[-1])
        again = live_sha256(recommender)
    assert moving is not None, "the adapter is on as shipped"
    return {
        "acknowledged": len(promised),
        "stored": len(there),
        "items_that_came": sum(len(step.get("items", ())) for step in ended),
        "held": held,
        "windows": moving.adapter.windows.ended,
        "version": moving.version,
        "lost": len(promised - set(there)),
        "doubled": len(there) - len(set(there)),
        "out_of_order": sum(one != other for one, other in zip(there, sent, strict=False)),
        "identical_to_run_without_stops": state == _without_stops(run, fitted, ended),
        "identical_without_snapshots": state == again,
    }


def _without_stops(run: Path, fitted: Path, steps: Sequence[Step]) -> str:
    twin = run.with_name(run.name + "-twin")
    shutil.copytree(fitted, twin)
    with Recommender.from_pretrained(twin) as recommender:
        for step in steps:
            take(recommender, step)
        return live_sha256(recommender)


def _prepare(fitted: Path, path: Path) -> None:
    """Fit on the first part of a world, and cut the rest into steps."""
    world = simulate(WORLD, seed=0)
    cut = world.moment_ms(FITTED)
    interactions, items = world.interactions().drop("position"), world.items()
    early = interactions.filter(pl.col("timestamp") < cut)
    known = items.filter(pl.col("item_id").is_in(early["item_id"].unique().implode()))
    data = Dataset.from_frames(early, known, info=world.info())
    options = FitOptions(cache=fitted.with_name("cache"))
    Recommender.fit(data, CONFIG, split="none", options=options).save_pretrained(fitted)
    later = interactions.filter(pl.col("timestamp") >= cut).sort("timestamp", maintain_order=True)
    path.write_text(json.dumps(_steps(later, items, set(known["item_id"]))), encoding="utf-8")


def _steps(events: pl.DataFrame, items: pl.DataFrame, known: set[str]) -> list[Step]:
    """Batches of 1 to 40 events. Items come one batch after their first event, which is held until then."""
    draws, start, steps = random.Random(0), 0, list[Step]()
    rows = events.with_columns(pl.format("e{}", pl.int_range(pl.len())).alias("event_id")).to_dicts()
    told = {row["item_id"]: row for row in items.to_dicts()}
    waiting: list[str] = []
    while start < len(rows):
        size = draws.randint(1, 40)
        steps.append({"events": rows[start : start + size]})
        if waiting:
            steps.append({"items": [told[item] for item in waiting]})
            known |= set(waiting)
        waiting = sorted({row["item_id"] for row in rows[start : start + size]} - known)
        start += size
    return steps


def _read_steps(path: Path) -> list[Step]:
    return list(json.loads(path.read_text(encoding="utf-8")))


def _summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    sums = ("kills", "opening", "in_snapshot", "acknowledged", "stored", "lost", "doubled", "out_of_order")
    same = ("identical_to_run_without_stops", "identical_without_snapshots")
    return {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "world": {"users": WORLD.users, "items": WORLD.items, "events": WORLD.events, "seed": 0},
        "snapshot_every": SNAPSHOT_EVERY,
        **{name: sum(run[name] for run in runs) for name in sums},
        "identical": all(run[name] for run in runs for name in same),
        "runs": list(runs),
    }


if __name__ == "__main__":
    main()
