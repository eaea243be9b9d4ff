"""Evidence: time to count a million interactions, to learn one more, and to read; and the memory that it takes.

    DYNMM_DATA=data python benchmarks/evidence_speed.py --out benchmarks/results/evidence_speed.json

Two data sets: MovieLens 1M, where $DYNMM_DATA has it, and a million simulated events of 12,000 items with
timestamps. The aims: statistics built in under 20 s, an event learned in under 50 microseconds, amortised,
evidence for 100 candidates in under 5 ms (p50) at 12,000 items. Times are of the processor where that is
said ("cpu"): other work on the machine leaves them alone.
"""

from __future__ import annotations

import argparse
import datetime
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dynmm import Dataset, DatasetInfo
from dynmm.catalogue.features import Features
from dynmm.evidence.attributes import AttributeTable
from dynmm.evidence.items import ItemStatistics
from dynmm.evidence.ledger import Ledger
from dynmm.evidence.likeness import Likeness
from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.score import EvidenceScore
from dynmm.evidence.settings import EvidenceSettings
from dynmm.evidence.terms import Terms
from dynmm.evidence.unions import union_counts
from dynmm.evidence.weights import Weights
from dynmm.interactions.vocabulary import Vocabulary
from dynmm.randomness import generator
from dynmm.storage import write_json
from dynmm.system import Query
from dynmm.types import Events, IntArray, UserHistory

ITEMS, USERS, EVENTS = 12_000, 25_000, 1_000_000
HISTORY, CANDIDATES, SHOWN, WINDOW, WITHIN = 50, 100, 10, 50, 3
AIM_BUILD_SECONDS, AIM_APPEND_MICROSECONDS, AIM_GATHER_MILLISECONDS = 20.0, 50.0, 5.0
_START, _SPAN, _DAY = 1_600_000_000_000, 365 * 86_400_000, 86_400_000


@dataclass(frozen=True, eq=False)
class Stores:
    """Everything that evidence reads."""

    pairs: PairStatistics
    items: ItemStatistics
    ledger: Ledger
    score: EvidenceScore


@dataclass(frozen=True, eq=False)
class Asked:
    """One user's history, and items that might be recommended."""

    history: IntArray
    candidates: IntArray
    moment: int | None

    @property
    def query(self) -> Query:
        """The same as a question."""
        return Query(UserHistory(self.history), self.moment)


#: Name -> what is read for one user.
READS: dict[str, Callable[[Stores, Asked], object]] = {
    "rows of 50 history items": lambda stores, asked: stores.pairs.rows(asked.history),
    "50 history items x 100 candidates": lambda stores, asked: stores.pairs.between(asked.history, asked.candidates),
    "unions for 10 shown items": lambda stores, asked: union_counts(
        stores.ledger, asked.history, asked.candidates[:SHOWN], WINDOW
    ),
    "evidence for 100 candidates": lambda stores, asked: stores.score.on(asked.query, asked.candidates),
    "evidence for 10 shown items, fact by fact": lambda stores, asked: [
        stores.score.parts(asked.query, int(item)) for item in asked.candidates[:SHOWN]
    ],
    "evidence for the whole catalogue": lambda stores, asked: stores.score.scores([asked.query]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=EVENTS, help="simulated events")
    parser.add_argument("--learn", type=int, default=20_000, help="events that are learned one by one")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    found = {}
    movies = Path(os.environ.get("DYNMM_DATA", "data")) / "ml-1m"
    if movies.is_dir():
        found["ml-1m"] = measured(Dataset.load(movies), arguments.learn, arguments.requests)
    found["simulated"] = measured(simulated(arguments.events), arguments.learn, arguments.requests)
    result = {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "numpy": np.__version__,
        "aims": {
            "build_seconds": AIM_BUILD_SECONDS,
            "append_microseconds": AIM_APPEND_MICROSECONDS,
            "gather_100_milliseconds": AIM_GATHER_MILLISECONDS,
        },
        "data": found,
    }
    for name, one in found.items():
        _tell(name, one)
    if arguments.out is not None:
        write_json(arguments.out, result)


def measured(dataset: Dataset, learn: int, requests: int) -> dict[str, Any]:
    """Everything for one data set."""
    builds = {
        "pairs": lambda: PairStatistics.of(dataset),
        "items": lambda: ItemStatistics.of(dataset),
        "ledger": lambda: Ledger.of(dataset),
    }
    made: dict[str, Any] = {}
    seconds: dict[str, Any] = {}
    for name, build in builds.items():
        made[name], seconds[name] = _timed(build)
    stores = Stores(**made, score=_score(made["pairs"], made["items"], dataset))
    millions = len(dataset.events) / 1e6
    sizes = {"pairs": stores.pairs.nbytes, "items": stores.items.nbytes, "ledger": stores.ledger.postings.nbytes}
    result: dict[str, Any] = {
        "interactions": len(dataset.events),
        "items": dataset.n_items,
        "users": dataset.n_users,
        "pair_records": stores.pairs.n_records,
        "build": seconds,
        "bytes_per_million": {name: round(size / millions) for name, size in sizes.items()},
        "reads_after_build": _reads(stores, dataset, requests, learning=False),
    }
    result["append_microseconds"] = _appended(stores, dataset, learn)
    result["reads_after_each_event"] = _reads(stores, dataset, requests, learning=True)
    result["row_after_event_milliseconds"] = _row_after_event(stores.pairs, dataset, requests)
    result["claims_milliseconds"] = _claims(stores.ledger, dataset)
    return result


def _moment(dataset: Dataset) -> int | None:
    times = dataset.events.timestamps
    return None if times is None or not dataset.has_time else int(times.max()) + 1


def _score(pairs: PairStatistics, items: ItemStatistics, dataset: Dataset) -> EvidenceScore:
    """Every kind of fact, each with the weight 1: titles of eight words, 384 numbers of a text encoder, a brand."""
    random = generator(0, "evidence items")
    n = dataset.n_items
    titles = [" ".join(f"word{word}" for word in row) for row in random.integers(0, 5_000, (n, 8)).tolist()]
    brands = [f"brand{one}" for one in random.integers(0, 500, n).tolist()]
    table = pl.DataFrame({"item_id": list(dataset.items.ids), "title": titles, "brand": brands})
    vectors = random.standard_normal((n, 384)).astype(np.float32)
    everything = np.ones(n, np.bool_)
    text = Features("text", "drawn", "drawn", vectors, everything, everything.astype(np.float32))
    settings = EvidenceSettings()
    days = settings.trend_days if dataset.has_time else ()
    terms = Terms(pairs, items, (Likeness.of(text),), AttributeTable.of(table), settings.recencies, days, n)
    weights = np.ones(len(terms.columns))
    return EvidenceScore(terms, Weights(terms.columns, weights, 1.0, 0, 1.0))


def simulated(n: int, seed: int = 0) -> Dataset:
    """n events. Items by a skewed popularity, users of very different activity, who seldom repeat an item."""
    random = generator(seed, "evidence speed")
    activity = random.lognormal(0.0, 1.0, USERS)
    users = np.sort(random.choice(USERS, n, p=activity / activity.sum())).astype(np.int32)
    popular = 1.0 / (20.0 + np.arange(ITEMS))
    items = random.choice(ITEMS, n, p=popular / popular.sum()).astype(np.int32)
    times = np.sort(random.integers(0, _SPAN, n)) + _START
    # Users are sorted, so a stable sort of the drawn moments within each gives every user a history over time.
    order = np.lexsort((random.permutation(times), users))
    moments = random.permutation(times)[order]
    within = np.lexsort((moments, users))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=USERS))]).astype(np.int64)
    names = [f"i{item}" for item in range(ITEMS)]
    return Dataset(
        DatasetInfo("simulated", time_resolution="second"),
        Vocabulary([f"u{user}" for user in range(USERS)]),
        Vocabulary(names),
        Events(users, items, moments[within]),
        offsets,
        pl.DataFrame({"item_id": names}),
    )


def _timed(build: Callable[[], object]) -> tuple[object, dict[str, float]]:
    began, used = time.perf_counter(), time.process_time()
    made = build()
    return made, {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}


def _new_events(dataset: Dataset, n: int, seed: str) -> Events:
    """Known users take items by popularity, one after the other."""
    random = generator(0, seed)
    users = dataset.events.users[random.integers(0, len(dataset.events), n)]
    items = dataset.events.items[random.integers(0, len(dataset.events), n)]
    times = dataset.events.timestamps
    later = None if times is None or not dataset.has_time else times.max() + 60_000 * np.arange(1, n + 1)
    return Events(users, items, later)


def _appended(stores: Stores, dataset: Dataset, n: int) -> dict[str, dict[str, float]]:
    """Microseconds for each of n events, told one by one and in hundreds."""
    found: dict[str, dict[str, float]] = {"pairs": {}, "items": {}, "ledger": {}}
    for batch, key in ((1, "one by one"), (100, "in hundreds")):
        events = _new_events(dataset, n, key)
        portions = [events.take(slice(start, start + batch)) for start in range(0, n, batch)]
        for name in found:
            store = getattr(stores, name)
            began, used = time.perf_counter(), time.process_time()
            for portion in portions:
                store.append(portion)
            # What waits is counted at the first read at the latest.
            stores.pairs.settle()
            stores.items.people_of(np.zeros(1, np.int64))
            found[name][key] = 1e6 * (time.perf_counter() - began) / n
            found[name][f"{key}, cpu"] = 1e6 * (time.process_time() - used) / n
    return found


def _reads(stores: Stores, dataset: Dataset, requests: int, *, learning: bool) -> dict[str, dict[str, float]]:
    """Milliseconds of each read; with learning, each follows an event of the user who asks, and meets changed rows."""
    random = generator(0, "requests")
    long = np.flatnonzero(np.diff(dataset.offsets) >= HISTORY)
    events = _new_events(dataset, requests, "read")
    found = {}
    for name, read in READS.items():
        took = []
        for place in range(requests):
            user = int(random.choice(long))
            history, candidates = (
                dataset.history(user).items[-HISTORY:],
                random.integers(0, dataset.n_items, CANDIDATES),
            )
            asked = Asked(history, candidates, _moment(dataset))
            if learning:
                event = events.take(slice(place, place + 1))
                stores.pairs.append(Events(np.array([user]), event.items, event.timestamps))
            took.append(_milliseconds(partial(read, stores, asked)))
        found[name] = _percentiles(took)
    return found


def _row_after_event(pairs: PairStatistics, dataset: Dataset, requests: int) -> dict[str, float]:
    """One event, and the row of its item at once."""
    events = _new_events(dataset, requests, "row")

    def learn_and_read(place: int) -> None:
        event = events.take(slice(place, place + 1))
        pairs.append(event)
        pairs.row(int(event.items[0]))

    return _percentiles([_milliseconds(partial(learn_and_read, place)) for place in range(requests)])


def _claims(ledger: Ledger, dataset: Dataset) -> dict[str, float]:
    """Milliseconds to count one claim anew, about the most popular items."""
    best = np.argsort(-dataset.item_counts(), kind="stable")[:5].tolist()
    j, i = best[0], best[1]
    counts: dict[str, Callable[[], int]] = {
        "takers": lambda: ledger.takers(i),
        "together": lambda: ledger.together_users(j, i, WINDOW),
        "followed": lambda: ledger.followed_users(j, i, WITHIN),
        "union of 5": lambda: ledger.union_users(best, i, WINDOW),
    }
    if ledger.has_time and dataset.events.timestamps is not None:
        now = int(dataset.events.timestamps.max())
        counts["trend of 30 days"] = lambda: ledger.trend_users(i, now - 30 * _DAY, now)
        counts["its rank"] = lambda: ledger.trend_rank(i, now - 30 * _DAY, now)
    return {name: _percentiles([_milliseconds(count) for _ in range(20)])["p50"] for name, count in counts.items()}


def _milliseconds(work: Callable[[], object]) -> tuple[float, float]:
    """By the clock and of the processor."""
    began, used = time.perf_counter(), time.process_time()
    work()
    return 1_000 * (time.perf_counter() - began), 1_000 * (time.process_time() - used)


def _percentiles(took: list[tuple[float, float]]) -> dict[str, float]:
    wall, cpu = np.array(took).T
    return {"p50": float(np.median(wall)), "p95": float(np.percentile(wall, 95)), "cpu": float(np.median(cpu))}


def _tell(name: str, one: dict[str, Any]) -> None:
    size, users = f"{one['interactions']:,} interactions", f"{one['items']:,} items, {one['users']:,} users"
    print(f"\n{name}: {size}, {users}; {one['pair_records']:,} ordered pairs")
    print(f"{'':12}{'build':>10}{'cpu':>9}   one by one      cpu   in hundreds   bytes per million")
    for store, build in one["build"].items():
        took, held = one["append_microseconds"][store], one["bytes_per_million"][store]
        learned = f"{took['one by one']:10.1f} us {took['one by one, cpu']:5.1f} us {took['in hundreds']:10.1f} us"
        print(f"{store:12}{build['seconds']:8.2f} s{build['cpu_seconds']:7.2f} s {learned} {held:19,}")
    print(f"aims: pairs built in under {AIM_BUILD_SECONDS:.0f} s, learned in under {AIM_APPEND_MICROSECONDS:.0f} us")
    print(f"{'read for one user: p50, p95, cpu':36}{'as built':>30}{'after an event of theirs':>30}")
    for read, still in one["reads_after_build"].items():
        print(f"{read:36}{_three(still):>30}{_three(one['reads_after_each_event'][read]):>30}")
    print(f"{'an event, then the row of its item':66}{_three(one['row_after_event_milliseconds']):>30}")
    claims = ", ".join(f"{claim} {took:.2f} ms" for claim, took in one["claims_milliseconds"].items())
    print(f"claims about the most popular items counted anew: {claims}")


def _three(took: dict[str, float]) -> str:
    return f"{took['p50']:.2f}  {took['p95']:.2f}  {took['cpu']:.2f} ms"


if __name__ == "__main__":
    main()
