"""Kills of the whole learner: what was acknowledged counts exactly once, and the state is that of a run without stops.

    python benchmarks/learner_kills.py [--kills 100] [--out benchmarks/results/learner_kills.json]
    python benchmarks/learner_kills.py --events 2000000 --largest 4000 --share .001 --snapshot-every 10000

A process of its own opens a run, learns a simulated stream in small batches, tells the run of items that come, and says
on a pipe what was acknowledged. It takes a snapshot every few events. It is killed (SIGKILL) at a random moment, while
a snapshot is being written, or while it opens the run; the next one begins again at the last step that was
acknowledged. After 25 kills the log is checked: every acknowledged event once, in the order in which they were sent.
Then `live_sha256` (histories, counts, adapter with its optimiser, guard and replay buffer) is compared with that of a
run that learned the same events without a stop, and with that of the killed run that reads its log without snapshots.
A kill leaves the system's own cache alone: this says nothing of a loss of power. Without re-rankers, which are frozen.
By default batches and the stream are small, and every event is put to the adapter. With more events, larger batches and
a share of them, as in the second line, a life has thousands of events where it had hundreds.
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
from dataclasses import dataclass
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
#: Share of the world's time that the fit knows.
FITTED = 0.15
CONFIG = {
    "backbone": {"width": 32, "inner": 32, "epochs": 3, "batch_places": 2_048},
    "encoders": {"text": "hashed-words"},
    "rerank": "none",
}
#: How often a kill is of which sort, and for how many seconds a learner, or its opening, is let alone at most.
SORTS, WEIGHTS = ("any", "snapshot", "opening"), (0.45, 0.45, 0.1)
LONGEST_LIFE = 4.0
LONGEST_OPENING = 1.0
#: A snapshot that is seen is cut off within so many seconds; a small one takes some 20 ms.
INTO_SNAPSHOT = 0.02

#: Items that come, or a span of the events: "first" and "count".
Step = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--events", type=int, default=60_000, help="of the world, of which the fit knows the first")
    parser.add_argument("--largest", type=int, default=40, help="events of the largest batch")
    parser.add_argument("--share", type=float, default=1.0, help="of the events that are put to the adapter")
    parser.add_argument("--snapshot-every", type=int, default=150, help="events between two snapshots")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", nargs=3, metavar=("RUN", "STEPS", "FIRST"), help="be the process that is killed")
    arguments = parser.parse_args()
    if arguments.child:
        run, steps, first = arguments.child
        learn(Path(run), Stream.read(Path(steps)), int(first))
        return
    runs = []
    world = WorldConfig(
        users=max(600, arguments.events // 100),
        items=max(400, arguments.events // 500),
        events=arguments.events,
        new_items=0.3,
        min_events=20,
        days=60,
    )
    with tempfile.TemporaryDirectory(prefix="dynmm-kills-") as folder:
        fitted, steps = Path(folder) / "fitted", Path(folder) / "stream"
        _prepare(world, arguments, fitted, steps)
        for number, begun in enumerate(range(0, arguments.kills, LIVES)):
            lives = min(LIVES, arguments.kills - begun)
            runs.append(killed(Path(folder) / f"run-{number}", fitted, steps, lives, random.Random(number)))
            print(runs[-1], flush=True)
    result = _summary(world, arguments, runs)
    print(json.dumps({name: value for name, value in result.items() if name != "runs"}, indent=1))
    if arguments.out is not None:
        write_json(arguments.out, result)
    wrong = result["lost"] or result["doubled"] or result["out_of_order"] or not result["identical"]
    sys.exit(1 if wrong else 0)


@dataclass(frozen=True)
class Stream:
    """What a learner is told. events: rows with their ids, in order. steps: spans of them, and items that come."""

    events: pl.DataFrame
    steps: Sequence[Step]

    @staticmethod
    def read(folder: Path) -> Stream:
        """What `_prepare` wrote."""
        steps = json.loads((folder / "steps.json").read_text(encoding="utf-8"))
        return Stream(pl.read_parquet(folder / "events.parquet"), steps)

    def take(self, recommender: Recommender, number: int) -> None:
        """Learn events, or tell of items. What is told twice is told once."""
        step = self.steps[number]
        if "count" in step:
            recommender.learn(self.events.slice(step["first"], step["count"]))
        elif new := [item for item in step["items"] if item["item_id"] not in recommender.items]:
            recommender.add_items(pl.DataFrame(new))

    def sent(self, steps: int) -> list[str]:
        """Ids of the events of the first so many steps."""
        count: int = sum(step.get("count", 0) for step in self.steps[:steps])
        return self.events["event_id"][:count].to_list()


def learn(run: Path, stream: Stream, first: int) -> None:
    """Take the steps from this one on, and say of each when it is acknowledged."""
    os.write(1, b"begun\n")
    recommender = Recommender.from_pretrained(run)
    os.write(1, b"open\n")
    for number in range(first, len(stream.steps)):
        stream.take(recommender, number)
        # One write of less than a page: it arrives whole or not at all.
        os.write(1, f"{number}\n".encode())
    threading.Event().wait()


def killed(run: Path, fitted: Path, path: Path, lives: int, draws: random.Random) -> dict[str, Any]:
    """So many lives of a learner on one run, and what is left of it."""
    shutil.copytree(fitted, run)
    stream, done = Stream.read(path), -1
    facts: dict[str, Any] = {"kills": 0, "opening": 0, "in_snapshot": 0}
    for _ in range(lives):
        sort, before = draws.choices(SORTS, WEIGHTS)[0], _unfinished(run)
        said = _one_life(run, path, max(0, done), sort, draws)
        done = max([done, *(int(line) for line in said if line.isdecimal())])
        facts["kills"] += 1
        facts["opening"] += "open" not in said
        facts["in_snapshot"] += bool(_unfinished(run) - before)
        assert done + 1 < len(stream.steps), "the stream is too short for so many kills; simulate a longer one"
    return facts | _checked(run, fitted, stream, done)


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


def _checked(run: Path, fitted: Path, stream: Stream, done: int) -> dict[str, Any]:
    """What the log holds against what was acknowledged, and the state against runs that were not killed.

    lost: acknowledged and not there. doubled: there more than once. out_of_order: there, and not where it was sent.
    """
    promised = set(stream.sent(done + 1))
    with SqliteLog(run / "state" / "events.sqlite") as log:
        log.verify()
        there = [record.event.id for record in log.read() if isinstance(record, Entry)]
    replayed = run.with_name(run.name + "-replayed")
    shutil.copytree(run, replayed)
    shutil.rmtree(replayed / "state" / "snapshots", ignore_errors=True)
    # The step after the last that was acknowledged may be there or not: all are brought to its end.
    last = done + 1
    with Recommender.from_pretrained(run) as recommender:
        stream.take(recommender, last)
        state, held, moving = live_sha256(recommender), recommender.held, whole_of(recommender).moving
    with Recommender.from_pretrained(replayed) as recommender:
        stream.take(recommender, last)
        again = live_sha256(recommender)
    assert moving is not None, "the adapter is on as shipped"
    return {
        "acknowledged": len(promised),
        "stored": len(there),
        "items_that_came": sum(len(step.get("items", ())) for step in stream.steps[: last + 1]),
        "held": held,
        "windows": moving.adapter.windows.ended,
        "version": moving.version,
        "lost": len(promised - set(there)),
        "doubled": len(there) - len(set(there)),
        "out_of_order": sum(one != other for one, other in zip(there, stream.sent(last + 1), strict=False)),
        "identical_to_run_without_stops": state == _without_stops(run, fitted, stream, last),
        "identical_without_snapshots": state == again,
    }


def _without_stops(run: Path, fitted: Path, stream: Stream, last: int) -> str:
    twin = run.with_name(run.name + "-twin")
    shutil.copytree(fitted, twin)
    with Recommender.from_pretrained(twin) as recommender:
        for number in range(last + 1):
            stream.take(recommender, number)
        return live_sha256(recommender)


def _prepare(config: WorldConfig, arguments: argparse.Namespace, fitted: Path, path: Path) -> None:
    """Fit on the first part of a world, and cut the rest into steps."""
    world = simulate(config, seed=0)
    cut = world.moment_ms(FITTED)
    interactions, items = world.interactions().drop("position"), world.items()
    early = interactions.filter(pl.col("timestamp") < cut)
    known = items.filter(pl.col("item_id").is_in(early["item_id"].unique().implode()))
    data = Dataset.from_frames(early, known, info=world.info())
    learning = {"stream": {"snapshot_every": arguments.snapshot_every}, "adapter": {"share": arguments.share}}
    options = FitOptions(cache=fitted.with_name("cache"))
    Recommender.fit(data, CONFIG | learning, split="none", options=options).save_pretrained(fitted)
    later = interactions.filter(pl.col("timestamp") >= cut).sort("timestamp", maintain_order=True)
    events = later.with_columns(pl.format("e{}", pl.int_range(pl.len())).alias("event_id"))
    path.mkdir()
    events.write_parquet(path / "events.parquet")
    steps = _steps(events["item_id"].to_list(), items, set(known["item_id"]), arguments.largest)
    (path / "steps.json").write_text(json.dumps(steps), encoding="utf-8")


def _steps(taken: Sequence[str], items: pl.DataFrame, known: set[str], largest: int) -> list[Step]:
    """Batches of 1 to `largest` events. Items come one batch after their first event, which is held until then."""
    draws, start, steps = random.Random(0), 0, list[Step]()
    told = {row["item_id"]: row for row in items.to_dicts()}
    waiting: list[str] = []
    while start < len(taken):
        size = min(draws.randint(1, largest), len(taken) - start)
        steps.append({"first": start, "count": size})
        if waiting:
            steps.append({"items": [told[item] for item in waiting]})
            known |= set(waiting)
        waiting = sorted(set(taken[start : start + size]) - known)
        start += size
    return steps


def _summary(world: WorldConfig, arguments: argparse.Namespace, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    sums = ("kills", "opening", "in_snapshot", "acknowledged", "stored", "lost", "doubled", "out_of_order")
    same = ("identical_to_run_without_stops", "identical_without_snapshots")
    return {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "world": {"users": world.users, "items": world.items, "events": world.events, "seed": 0},
        **{name: getattr(arguments, name) for name in ("largest", "share", "snapshot_every")},
        **{name: sum(run[name] for run in runs) for name in sums},
        "identical": all(run[name] for run in runs for name in same),
        "runs": list(runs),
    }


if __name__ == "__main__":
    main()
